package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// worker handles what comes next until the queue is closed. left is a task whose handler ended the worker before it.
func (c *Consumer) worker(ctx context.Context, i int, left *task) {
	ended := false
	defer func() {
		if left := c.running[i].Load(); !ended && left != nil { // runtime.Goexit in a handler
			c.owners.Go(func() { c.worker(ctx, i, left) })
		}
	}()
	if left != nil {
		c.failed(ctx, left, errGoexit)
	}
	for {
		c.running[i].Store(nil)
		t := c.queue.next()
		if t == nil {
			break
		}
		c.running[i].Store(t)
		c.work(ctx, t)
	}
	ended = true
}

// work is one attempt, and what precedes the first.
func (c *Consumer) work(ctx context.Context, t *task) {
	if !t.ours() {
		if t.doubtful() && c.queue.later(t, doubt) {
			return
		}
		c.giveBack(t)
		return
	}
	if !t.tried {
		t.tried, t.first = true, time.Now()
		t.began = t.first
		if c.screened(ctx, t) {
			return
		}
	}
	t.began = time.Now()
	c.record(ledger.Received, t, ledger.Transition{}, nil)
	if err := c.handle(ctx, t); err != nil {
		c.failed(ctx, t, err)
		return
	}
	if c.gaveUp.Load() {
		c.giveBack(t)
		return
	}
	c.counts.handled.Add(1)
	c.conclude(ledger.Done, t, ledger.Transition{Took: time.Since(t.began)})
}

// screened deals with a message that no handler gets: it reports whether t was one.
func (c *Consumer) screened(ctx context.Context, t *task) bool {
	e := t.delivery.Envelope
	if why, ok := e.Headers[transport.Malformed]; ok {
		c.failed(ctx, t, Permanent(fmt.Errorf("the message can't be read: %s", why)))
		return true
	}
	if limit := expiry(t.delivery); !limit.IsZero() && time.Now().After(limit) {
		c.counts.expired.Add(1)
		c.conclude(ledger.Expired, t, ledger.Transition{})
		return true
	}
	if c.subscription.Wants == nil {
		return false
	}
	wanted := false
	err := c.guard(func() (err error) {
		wanted, err = c.subscription.Wants(e)
		return err
	})
	switch {
	case err != nil:
		c.record(ledger.Received, t, ledger.Transition{}, nil)
		c.failed(ctx, t, err)
	case !wanted:
		c.counts.filtered.Add(1)
		c.conclude(ledger.Filtered, t, ledger.Transition{})
	}
	return err != nil || !wanted
}

// handle runs the handler under its deadline.
func (c *Consumer) handle(ctx context.Context, t *task) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.subscription.Timeout, c.overdue)
	defer cancel()
	if t.delivery.Revoked != nil {
		watched, revoke := context.WithCancelCause(ctx)
		defer revoke(nil)
		c.owners.Go(func() {
			select {
			case <-t.delivery.Revoked:
				revoke(ErrRevoked)
			case <-watched.Done():
			}
		})
		ctx = watched
	}
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
