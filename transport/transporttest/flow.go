package transporttest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/parley-io/parley/transport"
)

// message is the n-th of a source, with that key.
func message(c transport.Channel, source, key string, n int) *transport.Envelope {
	return &transport.Envelope{
		ID: source + "-" + strconv.Itoa(n), Source: source, Address: c.Address, Key: key,
		ContentType: "text/plain", Time: time.Now(), Body: []byte("message " + strconv.Itoa(n)),
	}
}

// messages are the first n of a source, spread over keys.
func messages(c transport.Channel, source string, keys, n int) []*transport.Envelope {
	batch := make([]*transport.Envelope, n)
	for i := range batch {
		batch[i] = message(c, source, "k"+strconv.Itoa(i%keys), i)
	}
	return batch
}

// send sends a batch once and notes it.
func (l *account) send(ctx context.Context, s *Scene, b transport.Broker, batch ...*transport.Envelope) []transport.Receipt {
	l.sending(batch...)
	receipts := b.Send(ctx, batch)
	if got := len(receipts); got != len(batch) {
		s.Errorf("Send of %d messages = %d receipts; want one for each", len(batch), got)
		receipts = make([]transport.Receipt, len(batch))
		for i := range receipts {
			receipts[i].Err = errNoReceipt
		}
	}
	l.sent(batch, receipts)
	return receipts
}

var errNoReceipt = errors.New("no receipt") // outcome unknown

// mustSend sends a batch once and wants it stored.
func (l *account) mustSend(ctx context.Context, s *Scene, b transport.Broker, batch ...*transport.Envelope) []transport.Receipt {
	receipts := l.send(ctx, s, b, batch...)
	for i, r := range receipts {
		if r.Err != nil {
			s.Fatalf("sending %v: %v; want it stored", identify(batch[i]), r.Err) //nolint:gosec // one receipt per envelope
		}
	}
	return receipts
}

// insist repeats a message until it is stored, as delivery and clients do while a broker is away.
func (l *account) insist(ctx context.Context, s *Scene, b transport.Broker, e *transport.Envelope) {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := l.send(attempt, s, b, e)[0].Err
		cancel()
		if err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			s.Fatalf("sending %v again and again: %v; want it stored once the broker is back", identify(e), err)
		}
	}
}

// take is a handler that notes a delivery for group and settles it at once.
func (l *account) take(group string) func(*transport.Delivery) {
	return func(d *transport.Delivery) {
		l.took(group, d.Envelope)
		d.Settle(transport.Done)
	}
}

// drain receives what a queue still holds, until everything that was confirmed is handled.
func (l *account) drain(ctx context.Context, s *Scene, b transport.Broker, c transport.Channel) {
	r := s.receive(ctx, b, transport.Route{Channel: c}, l.take(""))
	l.settled(ctx, "")
	l.empty(ctx, s, b, c, "")
	r.stop(ctx, s)
}

// empty waits until nothing waits for a group.
func (l *account) empty(ctx context.Context, s *Scene, b transport.Broker, c transport.Channel, group string) {
	if ctx.Err() != nil && len(l.lost(group)) > 0 {
		return // Verify says what is missing
	}
	waiting, err := backlog(ctx, s, b, c, group, func(n int64) bool { return n == 0 })
	if err != nil || waiting != 0 {
		s.Errorf("Backlog(%s, %q) = %d, %v; want 0 once everything is settled", c.Address, group, waiting, err)
	}
}

// backlog asks until it is as wanted or ctx is done: settling travels beside the answers.
func backlog(ctx context.Context, s *Scene, b transport.Broker, c transport.Channel, group string, wanted func(int64) bool) (int64, error) {
	o, ok := b.(transport.Operator)
	if !ok {
		s.Fatalf("got a broker of type %T that is no transport.Operator; want one", b)
	}
	for {
		n, _, err := o.Backlog(ctx, c, group)
		if err == nil && wanted(n) {
			return n, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("waiting for another backlog: %w", ctx.Err())
			}
			return n, err
		}
	}
}
