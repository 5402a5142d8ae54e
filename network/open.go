package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/telemetry"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/http"
)

const (
	// connectLimit bounds the opening of a network whose broker is elsewhere when ctx has no deadline of its own, so that a
	// wrong address is an error and no standstill.
	connectLimit = 20 * time.Second
	// undoLimit bounds the closing of what was opened when the rest cannot be.
	undoLimit = 5 * time.Second
)

// Open opens the network of a URL:
//
//	embedded://             a broker in this process, its data in ./parley-data
//	embedded:///abs/dir     its data in another directory; also embedded://./rel
//	nats://HOST[:PORT]      a NATS server with JetStream, also with TOKEN@ or USER:PASSWORD@; tls:// with TLS
//	amqp://HOST[:PORT]      RabbitMQ, also with USER:PASSWORD@ and /VHOST; amqps:// with TLS
//	kafka://HOST[:PORT]     Apache Kafka, also with USER:PASSWORD@; ?tls=on with TLS, and
//	                        ?sasl=plain, scram-sha-256, or, the default, scram-sha-512
//	mem://                  inside this process, nothing survives it
//
// A broker elsewhere may have several servers, joined by commas: kafka://a:9092,b:9092. Characters of a password that
// mean something in a URL are written as %2F and the like.
//
// All but mem take ?prefix=WORD, which keeps environments apart on one broker, and journal=DIRECTORY, where the
// operations of a service are kept in SERVICE.db: by default in journal below an embedded broker's data, below that of
// `parley dev` on its network, and in ./parley-data/journal on a broker elsewhere. With TLS, ca=FILE names what to trust
// instead of the system's certificates (see also [WithTLS]); replicas=N is of what is stored, on Kafka and NATS.
// password-file=FILE is where the user's password is, or on NATS without a user the token: it is read at each connection,
// so that a password that is rotated takes hold without a restart, as secrets do that an orchestrator mounts.
//
// What a broker confirms has to survive a loss of power, or the network is refused. survives=process accepts less,
// survives=node wants more; see [transport.Features]. On NATS, whose settings no client can see, survives=power or node
// is what its operator says about the server; nothing said means process.
//
// "" is the environment variable PARLEY_NETWORK, else the network of a running `parley dev` of this user, else embedded://.
// On the broker of a running `parley dev`, what the URL does not say of survives and journal is as there.
//
// The network's directory is a [presence.Presence], its calls are HTTP, and what becomes of messages is written to
// the ledger. The process that owns an embedded or mem network also collects the ledger, see [Collect].
//
// ctx bounds the opening only. Whoever opens a network calls its Close. An error of Open wraps [ErrURL] when the URL has
// to be changed, and has the [transport.Code] of what else a broker refuses; no error shows a password.
func Open(ctx context.Context, url string, opts ...Option) (*parley.Network, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	where, dev, err := resolve(url, o.notice)
	if err = errors.Join(err, o.settle(where)); err != nil {
		return nil, fmt.Errorf("open network: %w", err)
	}
	o.faults = o.faults || dev
	if _, bounded := ctx.Deadline(); !bounded && where.elsewhere() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, connectLimit, fmt.Errorf("gave up after %v", connectLimit))
		defer cancel()
	}
	n := &parley.Network{Name: where.String(), Journal: o.journalOf(where), Telemetry: o.telemetry}
	if err := wire(ctx, n, where, o); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
		defer cancel()
		return nil, fmt.Errorf("open network %s: %w", n.Name, where.discreet(errors.Join(err, n.Close(ctx))))
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
func wire(ctx context.Context, n *parley.Network, where address, o options) error {
	broker, err := connect(ctx, n, where, o)
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
	// What a Writer cannot store within a second it drops, and a cluster may take longer to make a stream.
	if err := delivery.Declare(ctx, broker, []transport.Channel{ledger.Stream()}); err != nil {
		return fmt.Errorf("declare %s: %w", ledger.Stream().Address, err)
	}
	writer := ledger.NewWriter(broker, o.source)
	n.Recorder = writer
	n.OnClose = append(n.OnClose, writer.Close)
	there, err := presence.Join(ctx, broker, presence.Options{Source: o.source})
	if err != nil {
		return err
	}
	n.Directory = there
	collecting := o.collecting
	if collecting == nil && (where.scheme == schemeEmbedded || where.scheme == schemeMem && o.process == nil) {
		collecting = newGathering(nil)
	}
	if collecting != nil {
		stop, err := gather(ctx, n, collecting)
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
	calls, err := http.New(http.Options{Listen: o.listen, Listener: o.listener, Advertise: o.advertise, Wrap: spans.Handler})
	if err != nil {
		return nil, err
	}
	if err := serveHealth(n, calls, o.collecting); err != nil {
		return nil, err
	}
	if o.metrics != nil {
		err = calls.Handle("GET /metrics", o.metrics)
	}
	return calls, err
}
