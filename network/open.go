package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/telemetry"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
)

const (
	// connectLimit bounds the opening of a nats:// network when ctx has no deadline of its own, so that a wrong
	// address is an error and no standstill.
	connectLimit = 10 * time.Second
	// undoLimit bounds the closing of what was opened when the rest cannot be.
	undoLimit = 5 * time.Second
)

// Open opens the network of a URL:
//
//	embedded://            a broker in this process, its data in ./parley-data
//	embedded:///abs/dir    its data in another directory; also embedded://./rel
//	nats://HOST:PORT       a NATS server with JetStream, also with TOKEN@ or USER:PASSWORD@
//	mem://                 inside this process, nothing survives it
//
// embedded and nats take ?prefix=WORD, which keeps environments apart on one broker, and ?journal=DIRECTORY, where the
// operations of a service are kept in SERVICE.db: by default in journal below an embedded broker's data, below that of
// `parley dev` on its network, and in ./parley-data/journal on a NATS server elsewhere. "" is the environment variable
// PARLEY_NETWORK, else the network of a running `parley dev` of this user, else embedded://.
//
// The network's directory is a [presence.Presence], its calls are HTTP, and what becomes of messages is written to
// the ledger. The process that owns an embedded or mem network also collects the ledger, see [Collect].
//
// ctx bounds the opening only. Whoever opens a network calls its Close.
func Open(ctx context.Context, url string, opts ...Option) (*parley.Network, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	where, dev, err := resolve(url, o.notice)
	if err == nil {
		err = o.settle(where)
	}
	if err != nil {
		return nil, fmt.Errorf("open network: %w", err)
	}
	o.faults = o.faults || dev
	if _, bounded := ctx.Deadline(); !bounded && where.scheme == "nats" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, connectLimit, fmt.Errorf("gave up after %v", connectLimit))
		defer cancel()
	}
	n := &parley.Network{Name: where.String(), Journal: o.journalOf(where), Telemetry: o.telemetry}
	if err := wire(ctx, n, where, o, dev); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
		defer cancel()
		return nil, fmt.Errorf("open network %s: %w", n.Name, errors.Join(err, n.Close(ctx)))
	}
	return n, nil
}

// HTTP is what carries the calls of a network over HTTP: its handler can be mounted elsewhere, and pages be served
// beside it. ok is false where something else carries them.
func HTTP(n *parley.Network) (c *http.Caller, ok bool) {
	c, ok = n.Calls.(*http.Caller)
	return c, ok
}

// wire fills n. Whatever it opens it adds to n.OnClose at once, so that Close undoes it in the reverse order also
// when something later fails.
func wire(ctx context.Context, n *parley.Network, where address, o options, dev bool) error {
	broker, err := connect(ctx, n, where, o, dev)
	if err != nil {
		return err
	}
	n.Messages, n.Operator = broker, broker
	if n.Calls == nil {
		calls, err := answer(n, o)
		if err != nil {
			return err
		}
		n.Calls = calls
	}
	n.OnClose = append(n.OnClose, n.Calls.Close)
	if o.faults {
		if err := disturb(ctx, n, o.source); err != nil {
			return err
		}
	}
	writer := ledger.NewWriter(broker, o.source)
	n.Recorder = writer
	n.OnClose = append(n.OnClose, writer.Close)
	there, err := presence.Join(ctx, broker, presence.Options{Source: o.source})
	if err != nil {
		return err
	}
	n.Directory = there
	if where.scheme == "embedded" || where.scheme == "mem" && o.process == nil {
		stop, err := Collect(ctx, n)
		if err != nil {
			return errors.Join(err, there.Close(ctx))
		}
		n.OnClose = append(n.OnClose, stop)
	}
	n.OnClose = append(n.OnClose, there.Close)
	return nil
}

// answer makes the calls over HTTP, with the pages beside them.
func answer(n *parley.Network, o options) (*http.Caller, error) {
	spans, err := telemetry.New(o.telemetry, o.source, "")
	if err != nil {
		return nil, err
	}
	calls, err := http.New(http.Options{Listen: o.listen, Advertise: o.advertise, Wrap: spans.Handler})
	if err != nil {
		return nil, err
	}
	if err := serveHealth(n, calls); err != nil {
		return nil, err
	}
	if o.metrics != nil {
		err = calls.Handle("GET /metrics", o.metrics)
	}
	return calls, err
}

// broker is what every driver's broker is.
type broker interface {
	transport.Broker
	transport.Operator
}

// connect opens the broker, and on mem:// also the calls.
func connect(ctx context.Context, n *parley.Network, where address, o options, dev bool) (broker, error) {
	switch where.scheme {
	case "mem":
		process := o.process
		if process == nil {
			process = mem.New().Process(o.source)
		}
		n.Calls = process.Caller()
		n.OnClose = append(n.OnClose, process.Broker().Close)
		return process.Broker(), nil
	case "embedded":
		return start(ctx, n, where, o)
	}
	options := nats.Options{URL: "nats://" + where.server, Token: where.user, Prefix: where.prefix, Name: o.source}
	if where.password != "" {
		options.URL, options.Token = where.credentials(), ""
	}
	if dev {
		options.Survives = "power" // it is an embedded one
	}
	b, err := nats.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	n.OnClose = append(n.OnClose, b.Close)
	return b, nil
}

// start runs an embedded broker and connects to it.
func start(ctx context.Context, n *parley.Network, where address, o options) (broker, error) {
	options := embedded.Options{Dir: where.dir, Warn: o.warn}
	if o.share != nil {
		options.Listen, options.Token = o.share.listen, o.share.token
	}
	server, err := embedded.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	n.OnClose = append(n.OnClose, server.Close)
	b, err := nats.Open(ctx, nats.Options{
		InProcess: server, Token: server.Token(), Survives: server.Survives(), Prefix: where.prefix, Name: o.source,
	})
	if err != nil {
		return nil, err
	}
	n.OnClose = append(n.OnClose, b.Close)
	if o.share != nil && o.share.ready != nil {
		o.share.ready(server.URL())
	}
	return b, nil
}
