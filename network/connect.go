package network

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/rabbitmq"
)

// broker is what every driver's broker is.
type broker interface {
	transport.Broker
	transport.Operator
}

// connect opens the broker, and on mem:// also the calls.
func connect(ctx context.Context, n *parley.Network, where address, o options) (broker, error) {
	switch where.scheme {
	case schemeMem:
		process := o.process
		if process == nil {
			process = mem.New().Process(o.source)
		}
		n.Calls = process.Caller()
		n.OnClose = append(n.OnClose, process.Broker().Close)
		return process.Broker(), nil
	case schemeEmbedded:
		return start(ctx, n, where, o)
	}
	b, err := where.reach(ctx, o)
	if err != nil {
		return nil, err
	}
	n.OnClose = append(n.OnClose, b.Close)
	return b, where.checkSurvives(b.Features())
}

// Between tries to reach a broker; they double.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// reach opens the broker elsewhere. One that is not there is tried again until ctx ends, unless o is hasty.
func (a address) reach(ctx context.Context, o options) (broker, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		b, err := a.open(ctx, o)
		if err == nil {
			return b, nil
		}
		err = unreached(a, err)
		if o.hasty || transport.CodeOf(err) != transport.Unavailable {
			return nil, err
		}
		if pause == firstPause && o.notice != nil {
			o.notice(fmt.Sprintf("waiting for the broker of %s: %v", a, a.discreet(err)))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, errors.Join(err, context.Cause(ctx))
		}
	}
}

// open opens the broker elsewhere, once.
func (a address) open(ctx context.Context, o options) (broker, error) {
	switch a.scheme {
	case schemeAMQP:
		return rabbitmq.Open(ctx, rabbitmq.Options{
			URL: a.place(a.userinfo()), Password: a.asked(), TLS: o.tls, Prefix: a.prefix, Name: o.source,
		})
	case schemeKafka:
		return kafka.Open(ctx, kafka.Options{
			Brokers: strings.Split(a.servers, ","), TLS: o.tls, Prefix: a.prefix, Name: o.source, Replicas: a.replicas,
			SASL: kafka.SASL{Mechanism: a.sasl, User: a.user, Password: a.password, Ask: a.asked()},
		})
	}
	return nats.Open(ctx, a.nats(o))
}

// unreached gives an error of a driver a code, if it has none: whatever is not certainly wrong may work later.
func unreached(where address, err error) error {
	if _, ok := errors.AsType[*transport.Error](err); ok {
		return err
	}
	return &transport.Error{
		Code: transport.Unavailable, NotSent: true, Cause: err,
		Message: fmt.Sprintf("no broker could be opened at %s; see that it runs and can be reached from here", where),
	}
}

// nats is how a NATS server elsewhere is opened.
func (a address) nats(o options) nats.Options {
	options := nats.Options{
		Password: a.asked(), TLS: o.tls, Prefix: a.prefix, Name: o.source, Replicas: a.replicas, Survives: a.survives,
	}
	who := a.userinfo()
	if a.token() {
		options.Token, who = a.user, ""
	}
	scheme := "nats://"
	if a.secure {
		scheme = "tls://"
	}
	options.URL = scheme + who + strings.ReplaceAll(a.servers, ",", ","+scheme+who)
	return options
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
	return keeping{b, server}, nil
}
