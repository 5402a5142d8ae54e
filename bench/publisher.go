package main

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// publisher sends commands that nobody handles, on an embedded network of its own.
type publisher struct {
	net     *parley.Network
	on, off *parley.Client // with and without the ledger
}

func startPublisher(ctx context.Context, s setup) (actor, string, error) {
	n, err := openNetwork(ctx, embeddedURL(s.Dir), "publisher")
	if err != nil {
		return nil, "", err
	}
	p := &publisher{net: n}
	if p.on, p.off, err = bothClients("publisher", n); err != nil {
		return nil, "", errors.Join(err, n.Close(ctx))
	}
	return p, "", nil
}

func (p *publisher) do(ctx context.Context, o order) (figures, error) {
	client := p.on
	if o.What == ledgerOff {
		client = p.off
	}
	found, err := hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		_, err := charge.Send(ctx, client, newChargeOrder(1, 1))
		return err
	})
	found.Recorded, found.Dropped = ledgerStats(p.net)
	return found, err
}

func (p *publisher) close(ctx context.Context) error { return p.net.Close(ctx) }

// plainPublisher publishes with nats.go alone, each message by itself and confirmed, on the same broker with the same
// settings and a stream without anything that costs: no headers, no message ids.
type plainPublisher struct {
	server *embedded.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	body   []byte
}

const plainSubject = "bench.charge"

func startPlainPublisher(ctx context.Context, s setup) (actor, string, error) {
	p := &plainPublisher{}
	if err := p.open(ctx, s.Dir); err != nil {
		return nil, "", errors.Join(err, p.close(ctx))
	}
	return p, "", nil
}

func (p *plainPublisher) open(ctx context.Context, dir string) (err error) {
	if p.body, err = json.Marshal(newChargeOrder(1, 1)); err != nil {
		return err
	}
	if p.server, err = embedded.Start(ctx, embedded.Options{Dir: dir}); err != nil {
		return err
	}
	if p.conn, err = nats.Connect("", nats.InProcessServer(p.server)); err != nil {
		return err
	}
	if p.js, err = jetstream.New(p.conn); err != nil {
		return err
	}
	_, err = p.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "BENCH", Subjects: []string{plainSubject}, Storage: jetstream.FileStorage,
	})
	return err
}

func (p *plainPublisher) do(ctx context.Context, o order) (figures, error) {
	return hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		_, err := p.js.Publish(ctx, plainSubject, p.body)
		return err
	})
}

func (p *plainPublisher) close(ctx context.Context) error {
	if p.conn != nil {
		p.conn.Close()
	}
	if p.server == nil {
		return nil
	}
	return p.server.Close(ctx)
}
