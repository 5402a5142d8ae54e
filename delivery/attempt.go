package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// worker handles what comes next until the queue is closed. left is a task whose handler ended the worker before it.
func (c *Consumer) worker(ctx context.Context, slot *atomic.Pointer[task], left *task) {
	ended, probe := false, false
	defer func() {
		if left := slot.Load(); !ended && left != nil { // runtime.Goexit in a handler
			if probe {
				c.probed(up)
			}
			c.owners.Go(func() { c.worker(ctx, slot, left) })
		}
	}()
	if left != nil {
		c.failed(ctx, left, errGoexit)
	}
	for had := left != nil; ; had = true {
		slot.Store(nil)
		var t *task
		if t, probe = c.queue.next(had); t == nil {
			break
		}
		slot.Store(t)
		if v := c.work(ctx, t); probe {
			c.probed(v)
		}
	}
	ended = true
}

// work is one attempt, and what precedes the first.
func (c *Consumer) work(ctx context.Context, t *task) verdict {
	if !t.ours() {
		if !t.doubtful() || !c.queue.later(t, doubt) {
			c.giveBack(t)
		}
		return silent
	}
	if c.stops(t) && !c.stopped.knows(t.delivery.Yield) {
		if !c.queue.later(t, learning) {
			c.giveBack(t)
		}
		return silent
	}
	t.began = time.Now()
	if t.first.IsZero() {
		t.first = t.began
	}
	if limit := expiry(t.delivery); !limit.IsZero() && t.began.After(limit) && !malformed(t) {
		c.counts.expired.Add(1)
		c.through(ctx, ledger.Expired, t, ledger.Transition{})
		return silent
	}
	if !t.tried {
		t.tried = true
		if v, screened := c.screened(ctx, t); screened {
			return v
		}
	}
	t.began = time.Now()
	c.record(ledger.Received, t, ledger.Transition{}, nil)
	if err := c.handle(t); err != nil {
		return c.failed(ctx, t, err)
	}
	if c.gaveUp.Load() {
		c.giveBack(t)
		return silent
	}
	c.counts.handled.Add(1)
	c.through(ctx, ledger.Done, t, ledger.Transition{Took: time.Since(t.began)})
	return up
}

// screened deals with a message that no handler gets: it reports whether t was one.
func (c *Consumer) screened(ctx context.Context, t *task) (verdict, bool) {
	e := t.delivery.Envelope
	if c.follows(ctx, t) {
		return silent, true
	}
	if malformed(t) {
		c.failed(ctx, t, Permanent(fmt.Errorf("the message can't be read: %s", e.Headers[transport.Malformed])))
		return silent, true
	}
	if c.subscription.Wants == nil {
		return silent, false
	}
	wanted := false
	err := c.guard(func() (err error) {
		wanted, err = c.subscription.Wants(e)
		return err
	})
	switch {
	case err != nil:
		c.record(ledger.Received, t, ledger.Transition{}, nil)
		return c.failed(ctx, t, err), true
	case !wanted:
		c.counts.filtered.Add(1)
		c.through(ctx, ledger.Filtered, t, ledger.Transition{})
	}
	return silent, !wanted
}

// malformed reports whether a driver could not read t.
func malformed(t *task) bool {
	_, ok := t.delivery.Envelope.Headers[transport.Malformed]
	return ok
}

// handle runs the handler under its deadline.
func (c *Consumer) handle(t *task) error {
	ctx := &deadline{Context: t.hold.ctx, at: t.began.Add(c.subscription.Timeout), cause: c.overdue}
	defer ctx.end()
	e := t.delivery.Envelope
	if e.Attempt != t.attempt { // it was tried here before
		again := *e
		again.Attempt = t.attempt
		e = &again
	}
	err := c.guard(func() error { return c.subscription.Handle(ctx, e) })
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// guard makes an error of a panic. The name of this method is where a stack's fingerprint ends.
func (c *Consumer) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = crashed(p)
		}
	}()
	return f()
}

// expiry is when a message's lifetime ends; zero = never. A message that was delayed lives from then on.
func expiry(d *transport.Delivery) time.Time {
	e := d.Envelope
	from := d.Accepted
	if from.IsZero() {
		from = e.Time
	}
	if e.NotBefore.After(from) {
		from = e.NotBefore
	}
	if e.Lifetime <= 0 || from.IsZero() {
		return time.Time{}
	}
	return from.Add(e.Lifetime)
}
