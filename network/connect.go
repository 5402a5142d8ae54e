package network

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
func connect(ctx context.Context, n *parley.Network, where address, o options) (b broker, err error) {
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
	case schemeAMQP:
		b, err = rabbitmq.Open(ctx, rabbitmq.Options{URL: where.place(where.userinfo()), TLS: o.tls, Prefix: where.prefix, Name: o.source})
	case schemeKafka:
		b, err = kafka.Open(ctx, kafka.Options{
			Brokers: strings.Split(where.servers, ","), TLS: o.tls, Prefix: where.prefix, Name: o.source, Replicas: where.replicas,
			SASL: kafka.SASL{Mechanism: where.sasl, User: where.user, Password: where.password},
		})
	default:
		b, err = nats.Open(ctx, where.nats(o))
	}
	if err != nil {
		return nil, unreached(where, err)
	}
	n.OnClose = append(n.OnClose, b.Close)
	return b, where.checkSurvives(b.Features())
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
	options := nats.Options{TLS: o.tls, Prefix: a.prefix, Name: o.source, Replicas: a.replicas, Survives: a.survives}
	who := a.userinfo()
	if a.password == "" {
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
	return b, nil
}
