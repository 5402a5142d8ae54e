package nats

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

const defaultCredit = 256

// Receive implements [transport.Broker]. It declares r.Channel if that has not happened.
func (b *Broker) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	fail := func(err error) error {
		return fmt.Errorf("nats: receive from %s, group %q: %w", r.Channel.Address, r.Group, err)
	}
	if err := checkRoute(r); err != nil {
		return fail(err)
	}
	var err error
	if reader := r.Group == "" && r.Channel.Pattern == transport.Stream; r.Channel.Partitions == 0 || reader {
		err = b.receive(ctx, r, reader, take)
	} else {
		err = b.share(ctx, r, take)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// receive gets what the server gives this receiver of all that the route wants.
func (b *Broker) receive(ctx context.Context, r transport.Route, reader bool, take func(*transport.Delivery)) error {
	x := &receiver{
		b: b, stream: b.names.stream(r.Channel.Address), consumer: consumer(r.Channel, r.Group),
		filters: b.names.filters(r.Channel, r.Group), from: r.Origin(), until: r.Until,
		reader: reader, window: newWindow(r.Credit), ready: r.Ready,
		take:    func(e *entry) { take(e.delivery(r.Channel)) },
		restore: func(ctx context.Context) (*jetstream.StreamInfo, error) { return b.create(ctx, r.Channel) },
	}
	x.sweep = newSweep(b, r.Channel, x.consumer, 0)
	return x.run(ctx)
}

// share gets the partitions that are this receiver's.
func (b *Broker) share(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	stream := b.names.stream(r.Channel.Address)
	s := &share{
		b: b, o: b.owners, route: r, channel: r.Channel, group: stream + "." + consumer(r.Channel, r.Group), stream: stream,
		from: r.Origin(), window: newWindow(r.Credit), take: take, ready: r.Ready,
		wake: make(chan struct{}, 1), unsure: make(map[int]bool), held: make(map[int]*tenure),
	}
	return s.run(ctx)
}

func checkRoute(r transport.Route) error {
	errs := []error{r.Validate()}
	for _, p := range []transport.Position{r.From, r.Until} {
		if _, err := sequence(p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
