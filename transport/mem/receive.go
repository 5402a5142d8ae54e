package mem

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-io/parley/transport"
)

// Receive joins route's group, which is registered by the first Receive of its name and kept until RemoveGroup. On a
// Topic, as on a Queue, route.From is ignored: nothing is kept for a group that does not exist. A returned message is
// delivered again at once, so whoever returns one because of a lasting trouble waits before.
func (b *Broker) Receive(ctx context.Context, route transport.Route, take func(*transport.Delivery)) error {
	r, err := b.newReceiver(route)
	if err != nil {
		return err
	}
	defer b.forget(r) // also when take panics
	for {
		credit, changed := r.credit.Now()
		switch s := r.next(ctx, credit); {
		case s.over && s.err != nil:
			return fmt.Errorf("mem: receive from %s: %w", route.Channel.Address, s.err)
		case s.over:
			return nil
		case s.joined:
			if route.Ready != nil {
				route.Ready()
			}
		case s.flight != nil:
			take(s.flight.delivery())
		default:
			select {
			case <-r.wake:
			case <-changed:
			case <-r.until.clock():
			case <-s.done:
			}
		}
	}
}

// newReceiver checks route and reports everything wrong with it in one error.
func (b *Broker) newReceiver(route transport.Route) (*receiver, error) {
	until, err := newBound(route)
	if err := errors.Join(route.Validate(), err); err != nil {
		return nil, fmt.Errorf("mem: receive from %s: %w", route.Channel.Address, err)
	}
	r := &receiver{broker: b, route: route, until: until, credit: route.Credit, wake: make(chan struct{}, 1)}
	if r.credit == nil {
		r.credit = transport.NewCredit(256)
	}
	b.fabric.mu.Lock()
	defer b.fabric.mu.Unlock()
	if b.closing || !b.process.alive() {
		return nil, fmt.Errorf("mem: receive from %s: %w", route.Channel.Address, b.errClosed())
	}
	b.receivers[r] = struct{}{}
	return r, nil
}

func (b *Broker) forget(r *receiver) {
	b.fabric.mu.Lock()
	defer b.fabric.mu.Unlock()
	r.end(nil)
}
