package delivery

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

// ours reports whether this instance may begin an attempt of t.
func (t *task) ours() bool {
	d := t.delivery
	return !closed(d.Revoked) && !closed(d.Yield) && d.Valid()
}

// doubt is how long a message of a partition that may be lost waits before somebody looks again.
const doubt = 50 * time.Millisecond

// doubtful reports whether t's partition is neither known to be lost nor certain to be held. Giving t back now could let
// what comes behind it overtake it.
func (t *task) doubtful() bool {
	d := t.delivery
	return d.Yield != nil && !closed(d.Yield) && !closed(d.Revoked)
}

// closed reports whether c is; nil never is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// hold is a partition as long as this instance has it, or what it receives of a channel without any.
type hold struct {
	ctx    context.Context // of its handlers: ends when another instance has the partition, and with Run
	inHand atomic.Int64    // taken and not settled
	idle   chan struct{}   // capacity 1: inHand was 0
}

// passing are the channels by which a delivery's hold is known.
type passing struct{ yield, revoked <-chan struct{} }

// heed is the hold to which d belongs. Its first delivery starts the watch, which gives back what is here of the partition
// when that is about to pass to another instance, and stops what runs when it has.
func (c *Consumer) heed(ctx context.Context, d *transport.Delivery) *hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := passing{d.Yield, d.Revoked}
	h := c.holds[p]
	if h == nil {
		h = c.watch(ctx, p)
		c.holds[p] = h
	}
	h.inHand.Add(1)
	return h
}

// watch begins a hold. c.mu is held.
func (c *Consumer) watch(ctx context.Context, p passing) *hold {
	if c.stopped != nil {
		c.stopped.want(p.yield)
	}
	ctx, revoke := context.WithCancelCause(ctx)
	h := &hold{ctx: ctx, idle: make(chan struct{}, 1)}
	c.watches.Go(func() {
		defer revoke(nil)
		select {
		case <-p.yield:
		case <-p.revoked:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		delete(c.holds, p) // before: what comes too late begins a hold of its own
		c.mu.Unlock()
		if c.stopped != nil {
			c.stopped.lost(p.yield)
		}
		c.withdraw(p.yield)
		for h.inHand.Load() > 0 {
			select {
			case <-h.idle:
			case <-p.revoked:
				revoke(ErrRevoked)
				return
			case <-ctx.Done():
				return
			}
		}
	})
	return h
}

// withdraw gives back what nobody has begun of a partition that is about to pass to another instance.
func (c *Consumer) withdraw(yield <-chan struct{}) {
	if yield == nil {
		return
	}
	for _, t := range c.queue.withdraw(yield) {
		c.settle(t, transport.Return)
	}
}

// leave counts one less in hand.
func (h *hold) leave() {
	if h.inHand.Add(-1) > 0 {
		return
	}
	select {
	case h.idle <- struct{}{}:
	default:
	}
}
