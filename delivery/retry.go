package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

const (
	shortPause  = 50 * time.Millisecond // bound of the pause before an immediate retry
	longestHold = 5 * time.Minute       // a message waits here, with its key, no longer than that
	firstHold   = 5 * time.Second       // between tries of what the broker refuses to store; doubles
	lastHold    = time.Minute
)

// failed decides what follows a failed attempt: another one here, one of a delayed copy, or a dead letter.
func (c *Consumer) failed(ctx context.Context, t *task, err error) verdict {
	if c.gaveUp.Load() {
		c.giveBack(t)
		return silent
	}
	c.counts.failed.Add(1)
	c.record(ledger.Failed, t, ledger.Transition{Reason: reason(err), Took: time.Since(t.began)}, nil)
	if closed(t.delivery.Revoked) || ctx.Err() != nil { // the failure may be our own doing
		c.giveBack(t)
		return silent
	}
	v := c.judge(err)
	if v != down || !c.held(t) {
		c.proceed(ctx, t, err)
	}
	return v
}

// proceed takes t to what comes after a failed attempt.
func (c *Consumer) proceed(ctx context.Context, t *task, err error) {
	retries := c.retries(t)
	if IsPermanent(err) || t.attempt >= retries.Attempts() {
		c.bury(ctx, t, err)
		return
	}
	wait, here := c.wait(t, retries, RetryAfterOf(err))
	until, limit := time.Now().Add(wait), expiry(t.delivery)
	if !limit.IsZero() && until.After(limit) {
		c.bury(ctx, t, fmt.Errorf("its lifetime is over before the next attempt: %w", err))
		return
	}
	switch {
	case here && (t.ours() || t.doubtful()) && c.again(t, retries, wait, until):
	case t.ordered || c.delays == 0:
		c.giveBack(t)
	default:
		c.postpone(ctx, t, until, limit)
	}
}

// wait is how long until the next attempt of t, and whether t waits for it here.
func (c *Consumer) wait(t *task, r *Retries, floor time.Duration) (wait time.Duration, here bool) {
	immediate := t.attempt <= r.Immediate
	if immediate {
		wait = rand.N(shortPause)
	} else {
		wait = r.Delays[t.attempt-r.Immediate-1]
		wait += rand.N(wait/10 + 1)
	}
	wait = max(wait, floor)
	if t.ordered || c.delays == 0 {
		return min(wait, longestHold), true
	}
	return min(wait, c.delays), immediate && floor == 0
}

// again lets t wait here for its next attempt; false once the consumer drains.
func (c *Consumer) again(t *task, r *Retries, wait time.Duration, until time.Time) bool {
	if t.attempt > r.Immediate {
		c.record(ledger.Delayed, t, ledger.Transition{Until: until}, nil)
	}
	t.attempt++ // before another worker has t
	if !c.queue.later(t, wait) {
		t.attempt--
		return false
	}
	return true
}

// postpone sends the delayed copy of t, which comes back for this group alone.
func (c *Consumer) postpone(ctx context.Context, t *task, until, limit time.Time) {
	e := *t.delivery.Envelope
	e.Attempt = t.attempt + 1
	e.Copy = delayedCopy(e.Copy, e.Attempt)
	e.Group = c.subscription.group()
	e.NotBefore = until
	if !limit.IsZero() {
		e.Lifetime = max(limit.Sub(until), time.Millisecond)
	}
	c.handOff(ctx, t, &e, func() {
		c.counts.delayed.Add(1)
		c.conclude(ledger.Delayed, t, ledger.Transition{Until: until})
	})
}

// bury sends the dead letter of t. Where that stops its key, everybody learns of it before: whoever finds t among the
// dead letters may redrive it, and what comes behind t must not pass.
func (c *Consumer) bury(ctx context.Context, t *task, why error) {
	e := newDeadLetter(&c.subscription, t.delivery.Envelope, why, t.attempt, t.first.UTC(), time.Now().UTC()).envelope()
	send := func() {
		c.handOff(ctx, t, e, func() {
			c.counts.dead.Add(1)
			c.conclude(ledger.DeadLettered, t, ledger.Transition{Reason: reason(why)})
		})
	}
	if !c.stops(t) || c.stopped.has(t.delivery.Envelope) {
		send()
		return
	}
	c.note(ctx, keyStopped, t, send)
}

// handOff sends e, which takes the place of t, without keeping the worker; then it calls sent. If the broker does not
// take e before the drain is over, t goes back to the broker.
func (c *Consumer) handOff(ctx context.Context, t *task, e *transport.Envelope, sent func()) {
	c.owners.Go(func() {
		hold, stuck := firstHold, false
		for {
			err := Send(ctx, c.broker, []*transport.Envelope{e})[0].Err
			if err == nil {
				sent()
				break
			}
			if !stuck && errors.Is(err, transport.ErrRefused) {
				stuck = true
				c.counts.stuck.Add(1)
			}
			if !pause(ctx, hold) {
				c.giveBack(t)
				break
			}
			hold = min(2*hold, lastHold)
		}
		if stuck {
			c.counts.stuck.Add(-1)
		}
	})
}
