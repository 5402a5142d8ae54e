package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

// stopLimit bounds the end of a node.
const stopLimit = 10 * time.Second

// Info is what a running node tells whoever started it.
type Info struct {
	Dir     string `json:"dir,omitzero"`   // of Run
	URL     string `json:"url"`            // of the network, without token, user and password
	Token   string `json:"token,omitzero"` // of an embedded broker
	HTTP    string `json:"http"`           // "http://127.0.0.1:7070"
	PID     int    `json:"pid"`
	Runtime string `json:"runtime,omitzero"` // of Run: the directory of the file by which others find it
	// Notice is what a person should know, "" = nothing: that the usual port was taken.
	Notice string `json:"notice,omitzero"`
}

// node is a network with everything that is served on it.
type node struct {
	name  string // "dev" or "serve"
	net   *parley.Network
	ended chan error // capacity 1: why the collector has ended by itself
}

// Run runs a node for development until ctx is done, and then ends it in order within 10 s. ready, if not nil, is called
// once, when everything is served and others can find it. A node that runs already for this user is an error that wraps
// [network.ErrRunning]; so is every other reason why it cannot be started, before anything of it is left behind.
func Run(ctx context.Context, o Options, ready func(Info)) (err error) {
	defer func() { err = named(err) }()
	if o, err = o.normal(); err != nil {
		return err
	}
	if err := alone(); err != nil {
		return err
	}
	info := Info{Dir: o.Dir, PID: os.Getpid()}
	if info.Runtime, err = network.RuntimeDir(); err != nil {
		return err
	}
	l, notice, err := listen(ctx, o.HTTP)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // the network has closed it, unless it could not be opened
	info.HTTP, info.Notice = "http://"+l.Addr().String(), notice
	options := append(o.shared("dev"), network.WithFaults(), network.WithListener(l), network.WithAdvertise(info.HTTP))
	n := &node{name: "dev", ended: make(chan error, 1)}
	where := o.Network
	if where == "" {
		where, err = n.embed(ctx, o, &info, options)
	} else if err = n.open(ctx, where, options); err == nil {
		info.URL = n.net.Name
	}
	if err != nil {
		return err
	}
	return n.serve(ctx, info, func() (leave func(), err error) {
		return network.WriteRuntime(network.Runtime{URL: info.URL, Open: where, Token: info.Token, HTTP: info.HTTP, PID: info.PID, Dev: true, Dir: o.Dir})
	}, ready)
}

// Serve collects the ledger of a network whose broker is elsewhere, until ctx is done, and then ends within 10 s: it
// answers what became of messages, dead letters, redrives and operations over HTTP, beside /metrics, /livez and /readyz.
// Several may do so on one network. ready, if not nil, is called once, when everything is served. It returns an error
// when it cannot be started, or when the collector has ended by itself.
func Serve(ctx context.Context, o Options, ready func(Info)) (err error) {
	defer func() { err = named(err) }()
	if o.Network == "" {
		return errors.New("no network: want the URL of one whose broker is elsewhere")
	}
	l, notice, err := listen(ctx, cmp.Or(o.HTTP, os.Getenv("PARLEY_LISTEN")))
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // the network has closed it, unless it could not be opened
	n := &node{name: "serve", ended: make(chan error, 1)}
	o.Advertise = cmp.Or(o.Advertise, os.Getenv("PARLEY_ADVERTISE"))
	err = n.open(ctx, o.Network, append(o.shared("serve"), network.WithListener(l), network.WithAdvertise(o.Advertise)))
	if err != nil {
		return err
	}
	info := Info{URL: n.net.Name, HTTP: cmp.Or(o.Advertise, "http://"+l.Addr().String()), PID: os.Getpid(), Notice: notice}
	return n.serve(ctx, info, func() (func(), error) { return func() {}, nil }, ready)
}

// shared are the options of both kinds of node.
func (o Options) shared(name string) []network.Option {
	return []network.Option{
		network.WithSource(name), network.WithWarn(o.Warn), network.WithTelemetry(o.Telemetry), network.WithMetrics(o.Metrics),
	}
}

// open opens the network, with a collector.
func (n *node) open(ctx context.Context, where string, options []network.Option) (err error) {
	n.net, err = network.Open(ctx, where, append(options, network.WithCollector(func(err error) { n.ended <- err }))...)
	return err
}

// embed opens a network of its own that other processes share, and gives the URL that opens it for them.
func (n *node) embed(ctx context.Context, o Options, info *Info, options []network.Option) (where string, err error) {
	last, err := recall(o.Dir)
	if err != nil {
		return "", err
	}
	info.Token = last.Token
	share := network.WithSharing(brokerAddress(ctx, o.Broker, last.Broker), info.Token, func(url string) { info.URL = url })
	if err := n.open(ctx, (&url.URL{Scheme: "embedded", Path: o.Dir}).String(), append(options, share)); err != nil {
		return "", err
	}
	last.Broker = strings.TrimPrefix(info.URL, "nats://")
	if err := last.keep(o.Dir); err != nil {
		return "", errors.Join(err, closeNetwork(ctx, n.net))
	}
	survives := n.net.Messages.Features().Survives
	return (&url.URL{Scheme: "nats", User: url.User(info.Token), Host: last.Broker, RawQuery: "survives=" + survives}).String(), nil
}

// serve answers until ctx is done or the collector has ended, and then closes the network. enter makes the node known,
// and gives what makes it unknown again.
func (n *node) serve(ctx context.Context, info Info, enter func() (leave func(), err error), ready func(Info)) (err error) {
	defer func() { err = errors.Join(err, closeNetwork(ctx, n.net)) }()
	if err := servePages(n.net, n.name, info); err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended, err := serveOperations(serving, n.net, n.name)
	if err != nil {
		return err
	}
	defer func() { stop(); <-ended }()
	leave, err := enter()
	if err != nil {
		return err
	}
	defer leave()
	if ready != nil {
		ready(info)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.ended:
		return err
	}
}

func named(err error) error {
	if err != nil {
		err = fmt.Errorf("node: %w", err)
	}
	return err
}

// alone reports a node of this user that runs already.
func alone() error {
	other, ok, err := network.ReadRuntime()
	if err != nil || !ok {
		return err
	}
	return fmt.Errorf("%w: process %d serves %s; services and commands find it by themselves. Stop it first, or set PARLEY_RUNTIME_DIR to another directory for a second one",
		network.ErrRunning, other.PID, other.URL)
}

func closeNetwork(ctx context.Context, n *parley.Network) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return n.Close(ctx)
}
