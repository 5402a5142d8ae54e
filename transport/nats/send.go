package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// call is a Send that waits. Outcomes that come when it no longer does are forgotten.
type call struct {
	mu       sync.Mutex
	receipts []transport.Receipt
	open     int // outcomes that are not known
	known    chan struct{}
}

// errOpen stands for an outcome until it is known.
var errOpen = errors.New("outcome unknown")

func newCall(n int) *call {
	c := &call{receipts: make([]transport.Receipt, n), open: n, known: make(chan struct{})}
	for i := range c.receipts {
		c.receipts[i] = transport.Receipt{Err: errOpen, Groups: -1}
	}
	return c
}

// Send implements [transport.Broker].
func (b *Broker) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	c := newCall(len(batch))
	if len(batch) == 0 {
		return c.receipts
	}
	if err := b.begin(); err != nil {
		for n := range batch {
			c.settle(n, transport.Receipt{Err: fmt.Errorf("%w: %w", transport.ErrNotSent, err), Groups: -1})
		}
		return c.receipts
	}
	defer b.users.Done()
	parts := b.load(ctx, c, batch)
	for _, p := range parts {
		p.lane.add(p.items)
	}
	select {
	case <-c.known:
	case <-ctx.Done():
		c.abandon(parts, context.Cause(ctx))
	case <-b.dead:
		c.abandon(parts, transport.ErrClosed)
	}
	return c.result(batch)
}

// part is what a Send has for one lane.
type part struct {
	lane  *lane
	items []*item
}

// load makes items of envelopes, in their order per lane. What cannot be sent has its receipt at once.
func (b *Broker) load(ctx context.Context, c *call, batch []*transport.Envelope) (parts []part) {
	now := time.Now()
	for n, e := range batch {
		l, i, err := b.item(e, now)
		if err == nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
		}
		if err != nil {
			c.settle(n, transport.Receipt{Err: err, Groups: -1})
			continue
		}
		i.settled = func(r transport.Receipt) { c.settle(n, r) }
		p := 0
		for p < len(parts) && parts[p].lane != l {
			p++
		}
		if p == len(parts) {
			parts = append(parts, part{lane: l})
		}
		parts[p].items = append(parts[p].items, i)
	}
	return parts
}

// item makes e ready to be sent, and finds the lane that it goes by.
func (b *Broker) item(e *transport.Envelope, now time.Time) (*lane, *item, error) {
	if err := e.Validate(); err != nil {
		return nil, nil, err
	}
	if size := e.Size(); size > b.features.MaxBytes {
		return nil, nil, tooLarge(fmt.Sprintf("%d bytes: want at most %d", size, b.features.MaxBytes))
	}
	l := b.lane(e.Address, transport.Channel{})
	if l == nil {
		return nil, nil, fmt.Errorf("%w: the channel is not declared on this broker: Declare it first", transport.ErrRefused)
	}
	m, err := encode(e)
	if err == nil {
		err = b.room.take(e.Size() * b.options.Replicas)
	}
	if err != nil {
		return nil, nil, err
	}
	i := &item{msg: m, position: true, audience: l.stream, to: e.Group}
	m.Subject = b.names.subject(l.channel, e)
	if l.channel.Partitions > 0 {
		i.part = strconv.Itoa(l.channel.Partition(e.Key))
	}
	if l.channel.Pattern == transport.Queue {
		i.audience = "" // its one group is always there
	}
	if e.NotBefore.After(now) {
		i.position = false
		l, err = b.postpone(l, e, m, now)
	}
	return l, i, err
}

// settle takes the outcome of one envelope.
func (c *call) settle(n int, r transport.Receipt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.receipts == nil {
		return
	}
	c.receipts[n] = r
	if c.open--; c.open == 0 {
		close(c.known)
	}
}

// abandon ends the waiting: what is still in a queue was not sent, the outcome of the others is unknown.
func (c *call) abandon(parts []part, why error) {
	for _, p := range parts {
		withdrawn := p.lane.withdraw(p.items)
		for _, i := range withdrawn {
			i.settled(transport.Receipt{Err: fmt.Errorf("%w: %w", transport.ErrNotSent, why), Groups: -1})
		}
		for _, i := range p.items { // also those that have landed: who has given up repeats all
			if !slices.Contains(withdrawn, i) {
				p.lane.b.doubts.note(p.lane.stream, i)
			}
		}
	}
	unknown := fmt.Errorf("%w: %w", errOpen, why)
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.receipts {
		if errors.Is(c.receipts[n].Err, errOpen) {
			c.receipts[n].Err = unknown
		}
	}
}

// result ends the call. A receipt's error says which message it is about.
func (c *call) result(batch []*transport.Envelope) []transport.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	receipts := c.receipts
	c.receipts = nil
	for n, r := range receipts {
		if r.Err != nil {
			receipts[n].Err = fmt.Errorf("nats: send %s to %s: %w", batch[n].ID, batch[n].Address, r.Err)
		}
	}
	return receipts
}
