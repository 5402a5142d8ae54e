package parley

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/policy"
	"github.com/parley-io/parley/telemetry"
	"github.com/parley-io/parley/transport"
)

// Client is a service's identity on a network: what every verb goes through. Safe for concurrent use. It starts
// nothing and needs no closing; the network does.
type Client struct {
	name      string
	instance  string
	net       *Network
	caller    transport.Caller // of net, perhaps with faults; nil: no calls
	broker    transport.Broker // of net, perhaps with faults; nil: no messages
	log       *slog.Logger
	recorder  ledger.Recorder
	telemetry *telemetry.Telemetry // nil = none
	policies  policy.Options
	calls     *policy.Client // above caller
	static    map[string][]string

	mu       sync.Mutex
	declared map[string]*declaration
}

// ClientOption is an option of [NewClient].
type ClientOption interface{ client(c *Client) }

type clientOption func(*Client)

func (f clientOption) client(c *Client) { f(c) }

// WithLogger is where a client and its service log what nobody else is told; the default is [slog.Default].
func WithLogger(log *slog.Logger) ClientOption { return clientOption(func(c *Client) { c.log = log }) }

// WithPolicy replaces the defaults of the deadlines, retries and breakers of calls.
func WithPolicy(o policy.Options) ClientOption {
	return clientOption(func(c *Client) { c.policies = o })
}

// WithPeer says where the service of an API's name answers calls, instead of asking the network's directory. The
// environment variable PARLEY_SERVICE_NAME does the same for all clients.
func WithPeer(service, url string) ClientOption {
	return clientOption(func(c *Client) { c.static[service] = []string{url} })
}

// NewClient names a service on a network: a word of a-z, 0-9 and '-'. Everything that is wrong is reported at once.
func NewClient(name string, n *Network, options ...ClientOption) (*Client, error) {
	c := &Client{
		name: name, instance: name + "-" + newID()[24:], net: n, log: slog.Default(),
		static: staticPeers(os.Environ()), declared: make(map[string]*declaration),
	}
	var errs []error
	if err := transport.CheckGroup(name); err != nil {
		errs = append(errs, fmt.Errorf("client: %w", err))
	}
	if n == nil || n.Calls == nil && n.Messages == nil {
		errs = append(errs, fmt.Errorf("client %s: a network without calls and without messages; open one with network.Open", name))
	}
	for _, o := range options {
		o.client(c)
	}
	if c.log == nil {
		errs = append(errs, fmt.Errorf("client %s: WithLogger(nil): want a logger; slog.DiscardHandler logs nothing", name))
	}
	if err := c.policies.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("client %s: %w", name, err))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	c.recorder = ledger.Discard
	if n.Recorder != nil {
		c.recorder = ledger.As(n.Recorder, name, c.instance)
	}
	c.caller, c.broker = n.Calls, n.Messages
	if n.Faults != nil && c.caller != nil {
		c.caller = n.Faults.Caller(c.caller, name)
	}
	if n.Faults != nil && c.broker != nil {
		c.broker = n.Faults.Broker(c.broker, name)
	}
	recorder := c.recorder
	if err := c.observe(); err != nil {
		return nil, fmt.Errorf("client %s: %w", name, err)
	}
	if c.caller != nil {
		c.calls = policy.New(c.caller, recorder, c.policies) // of calls the telemetry learns otherwise
	}
	if err := c.telemetry.Breakers(c.breakerStates); err != nil {
		return nil, fmt.Errorf("client %s: %w", name, err)
	}
	return c, nil
}

// Name is the service that the client speaks for.
func (c *Client) Name() string { return c.name }

// Instance is this client's own name among all instances of the service: "orders-5f3a…".
func (c *Client) Instance() string { return c.instance }

// Network is what the client talks through.
func (c *Client) Network() *Network { return c.net }

// Breakers are the circuit breakers towards the peers that this client has called, sorted by service and peer.
func (c *Client) Breakers() []policy.BreakerStatus {
	if c.calls == nil {
		return nil
	}
	return c.calls.Breakers()
}

// Accept implements [Sender]: it declares the channel once, sends until the outcomes are known or ctx is done, and
// records what was accepted.
func (c *Client) Accept(ctx context.Context, style Style, channel transport.Channel, batch []*transport.Envelope) []transport.Receipt {
	if err := c.declare(ctx, channel); err != nil {
		return refuse(batch, err)
	}
	limit := c.broker.Features().MaxBytes - delivery.Overhead // so that its dead letter fits too
	for _, e := range batch {
		if e.Size() > limit {
			err := fmt.Errorf("%w: message %s is %d bytes with its headers: want at most %d; send a reference to where the data is", transport.ErrRefused, e.ID, e.Size(), limit)
			return refuse(batch, err)
		}
	}
	ends := c.sending(ctx, style, batch)
	receipts := delivery.Send(ctx, c.broker, batch)
	for i, r := range receipts {
		ends[i](r.Err)
		if r.Err == nil {
			c.recordAccepted(style, batch[i], r)
		}
	}
	return receipts
}

// refuse is the same error for all of a batch, of which nothing was sent.
func refuse(batch []*transport.Envelope, err error) []transport.Receipt {
	receipts := make([]transport.Receipt, len(batch))
	for i := range receipts {
		receipts[i] = transport.Receipt{Err: err, Groups: -1}
	}
	return receipts
}

// Audience implements [Sender].
func (c *Client) Audience(address string) ([]string, bool) {
	if c.net.Directory == nil {
		return nil, false
	}
	return c.net.Directory.Groups(address)
}

func (c *Client) recordAccepted(style Style, e *transport.Envelope, r transport.Receipt) {
	t := ledger.Of(ledger.Accepted, string(style), e)
	t.Until = e.NotBefore
	groups, known := c.Audience(e.Address)
	switch {
	case style != StyleEvent:
		t.Expected = []string{e.Address}
	case known:
		t.Expected = append([]string{}, groups...)
	case r.Groups == 0:
		t.Expected = []string{}
	}
	c.recorder.Record(t, nil)
}

// declaration is that of one channel by a client.
type declaration struct {
	turn chan struct{} // has room for who makes it
	made atomic.Bool
}

// declare makes sure that a channel exists, once per client: of many who begin to send at the same time, one declares it,
// and the others wait for that.
func (c *Client) declare(ctx context.Context, channel transport.Channel) error {
	if c.broker == nil {
		return fmt.Errorf("%w: the network %s has no broker", transport.ErrRefused, c.net.Name)
	}
	d := c.declaration(channel.Address)
	if d.made.Load() {
		return nil
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: its channel is not declared yet: %w", transport.ErrNotSent, context.Cause(ctx))
	}
	if d.made.Load() {
		return nil
	}
	if err := delivery.Declare(ctx, c.broker, []transport.Channel{channel}); err != nil {
		if errors.Is(err, transport.ErrRefused) {
			return err
		}
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
	d.made.Store(true)
	return nil
}

func (c *Client) declaration(address string) *declaration {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.declared[address]
	if d == nil {
		d = &declaration{turn: make(chan struct{}, 1)}
		c.declared[address] = d
	}
	return d
}

// call sends a request to one of the peers that answer its address.
func (c *Client) call(ctx context.Context, contract *contract, e *transport.Envelope) (*transport.Envelope, error) {
	if c.calls == nil {
		return nil, &Error{Code: Unavailable, Address: contract.address, NotSent: true, Message: "the network " + c.net.Name + " has no calls"}
	}
	ctx, end := c.calling(ctx, contract, e)
	answer, err := c.calls.Do(ctx, policy.Request{
		Envelope: e, Service: contract.api.name, Idempotent: contract.idempotent,
		Peers: func() []string { return c.peers(contract.api.name, contract.address) },
	})
	end(err)
	return answer, err
}

// peers are where an address is answered: as configured, else as the directory knows.
func (c *Client) peers(service, address string) []string {
	if urls, ok := c.static[service]; ok {
		return urls
	}
	if c.net.Directory == nil {
		return nil
	}
	return c.net.Directory.Peers(address)
}

// staticPeers reads the PARLEY_SERVICE_NAME variables: one URL or several with commas between.
func staticPeers(environ []string) map[string][]string {
	static := make(map[string][]string)
	for _, entry := range environ {
		if rest, ok := strings.CutPrefix(entry, "PARLEY_SERVICE_"); ok {
			if name, urls, ok := strings.Cut(rest, "="); ok && urls != "" {
				service := strings.ReplaceAll(strings.ToLower(name), "_", "-")
				static[service] = strings.Split(urls, ",")
			}
		}
	}
	return static
}
