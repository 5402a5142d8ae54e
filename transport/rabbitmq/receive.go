package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-io/parley/transport"
)

const defaultCredit = 256

// Receive implements [transport.Broker]. It declares r.Channel if that has not happened. On a Topic
// r.From is ignored: nothing is kept for a group that does not exist.
func (b *Broker) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	err := checkRoute(r)
	if err == nil {
		b.keepMoving()
		err = newReceiver(b, r, take).run(ctx)
	}
	if err != nil {
		return fmt.Errorf("rabbitmq: receive from %s, group %q: %w", r.Channel.Address, r.Group, err)
	}
	return nil
}

func checkRoute(r transport.Route) error {
	errs := []error{r.Validate()}
	for _, p := range []transport.Position{r.From, r.Until} {
		if p.At == "" || r.Channel.Pattern != transport.Stream {
			continue
		}
		_, err := parsePlace(p.At)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func newReceiver(b *Broker, route transport.Route, take func(*transport.Delivery)) *receiver {
	c := route.Channel
	r := &receiver{
		b: b, route: route, take: take, credit: route.Credit, ready: route.Ready,
		streams: c.Pattern == transport.Stream, wake: make(chan struct{}, 1),
	}
	r.reader = r.streams && route.Group == ""
	r.balanced = c.Partitions > 1 && !r.reader
	if r.credit == nil {
		r.credit = transport.NewCredit(defaultCredit)
	}
	for _, p := range partitions(c) {
		r.lanes = append(r.lanes, &lane{partition: p, queue: b.names.queue(c.Address, route.Group, p)})
	}
	return r
}
