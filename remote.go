package parley

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// Remote is a contract as a running service announced it, for those who do not have it as Go code: command lines,
// gateways. Bodies are JSON and are checked before they are sent.
type Remote struct {
	ContractDescription
	Service string // that announced it

	contract *contract
}

// Lookup asks the running services for the contract of an address. It answers NotFound, with what there is, when no
// running service announced it; but an operation is known also while its owner is away, then without its schemas.
func Lookup(ctx context.Context, client *Client, address string) (*Remote, error) {
	var heard error
	for _, i := range announced(client) {
		if i.Peer == "" || !slices.Contains(i.Addresses(), address) {
			continue
		}
		d, err := DescribeInstance(ctx, client, i)
		if err != nil {
			heard = err
			continue
		}
		for _, c := range d.Contracts {
			if c.Address == address {
				return newRemote(c, d.Service)
			}
		}
	}
	if d := client.net.Directory; d != nil {
		if groups, ok := d.Groups(address); ok && slices.Contains(groups, OwnerGroup) {
			return &Remote{ContractDescription: ContractDescription{Address: address, Style: StyleOperation}, contract: ownerless(address)}, nil
		}
	}
	if heard != nil {
		return nil, fmt.Errorf("the contract of %s could not be read: %w", address, heard)
	}
	return nil, &Error{Code: NotFound, Address: address, NotSent: true, Message: "no running service announced it" + suggestion(client, address)}
}

// DescribeInstance asks one running instance what it is and does.
func DescribeInstance(ctx context.Context, client *Client, i Instance) (Description, error) {
	var d Description
	err := askInstance(ctx, client, i, DescribeAddress(i.Service), []byte("{}"), &d)
	return d, err
}

// Call asks and waits, as [Call.Call] does.
func (r *Remote) Call(ctx context.Context, client *Client, body []byte, options ...RequestOption) ([]byte, error) {
	if run, ok := operation.RunFrom(ctx); ok {
		return verb(ctx, run, r.contract, func(ctx context.Context, id MessageCallOption) ([]byte, error) {
			return r.Call(ctx, client, body, append([]RequestOption{id}, options...)...)
		})
	}
	if err := r.fits(StyleCall, body); err != nil {
		return nil, err
	}
	e := newEnvelope(ctx, r.Address, client.name, body)
	for _, o := range options {
		o.request(e)
	}
	report(options, e)
	answer, err := client.call(ctx, r.contract, e)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// Send sends a command or publishes an event, as [Command.Send] and [Event.Publish] do. key is needed where the contract
// keeps order by key.
func (r *Remote) Send(ctx context.Context, client *Client, key string, body []byte, options ...SendOption) (MessageID, error) {
	if run, ok := operation.RunFrom(ctx); ok {
		return verb(ctx, run, r.contract, func(ctx context.Context, id MessageCallOption) (MessageID, error) {
			return r.Send(ctx, client, key, body, append([]SendOption{id}, options...)...)
		})
	}
	if err := r.fits(r.Style, body); err != nil {
		return "", err
	}
	if r.Style == StyleCall || r.Style == StyleOperation {
		return "", r.wrong(fmt.Sprintf("is of style %s: it is not sent", r.Style))
	}
	if r.Partitions > 0 && key == "" {
		return "", r.wrong("keeps order by key: a key is needed")
	}
	return accept(ctx, client, r.contract, key, body, options)
}

// fits checks the style and the body.
func (r *Remote) fits(style Style, body []byte) error {
	if r.Style != style {
		return r.wrong(fmt.Sprintf("is no %s, it is one of style %s", style, r.Style))
	}
	if fields := r.contract.in.check(body); len(fields) > 0 {
		return &Error{Code: InvalidArgument, Address: r.Address, NotSent: true, Message: "the body does not fit the contract", Fields: fields}
	}
	return nil
}

func (r *Remote) wrong(message string) error {
	return &Error{Code: InvalidArgument, Address: r.Address, NotSent: true, Message: message}
}

func newRemote(d ContractDescription, service string) (*Remote, error) {
	in, err := parseSchema(d.Request)
	if err != nil {
		return nil, &Error{Code: Internal, Address: d.Address, Message: "its contract can't be read", Cause: err}
	}
	name, _, _ := strings.Cut(d.Address, ".")
	c := &contract{
		api: &API{name: name, frozen: true}, address: d.Address, style: d.Style, in: in,
		idempotent: d.Idempotent, lifetime: time.Duration(d.LifetimeMS) * time.Millisecond,
		channel: transport.Channel{Address: d.Address, Partitions: d.Partitions, Retain: time.Duration(d.RetainMS) * time.Millisecond, RetainBytes: d.RetainSize},
	}
	for _, told := range d.Signals {
		in, err := parseSchema(told.Payload)
		if err != nil {
			return nil, &Error{Code: Internal, Address: d.Address, Message: "its signal " + told.Name + " can't be read", Cause: err}
		}
		c.signals = append(c.signals, &signal{name: told.Name, in: in})
	}
	for _, p := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		if p.String() == d.Pattern {
			c.channel.Pattern = p
		}
	}
	return &Remote{ContractDescription: d, Service: service, contract: c}, nil
}

// ownerless is what is known of an operation without its contract.
func ownerless(address string) *contract {
	name, _, _ := strings.Cut(address, ".")
	return &contract{
		api: &API{name: name, frozen: true}, address: address, style: StyleOperation,
		channel: transport.Channel{Address: address, Pattern: transport.Queue},
	}
}

// announced is who is there, as far as this network knows.
func announced(client *Client) []Instance {
	if client.net.Directory == nil {
		return nil
	}
	return client.net.Directory.Instances()
}

// suggestion names the announced addresses of the same API, or all of them.
func suggestion(client *Client, address string) string {
	var all, near []string
	service, _, _ := strings.Cut(address, ".")
	for _, i := range announced(client) {
		for _, a := range i.Addresses() {
			if strings.HasPrefix(a, "parley.") {
				continue
			}
			all = append(all, a)
			if strings.HasPrefix(a, service+".") {
				near = append(near, a)
			}
		}
	}
	if len(near) > 0 {
		all = near
	}
	if len(all) == 0 {
		return "; no service runs on this network"
	}
	slices.Sort(all)
	return "; there is " + strings.Join(slices.Compact(all), ", ")
}
