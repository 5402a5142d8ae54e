package delivery

import (
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

// heed makes c give back what it has of t's partition when that is about to pass to another instance. The partition's
// first delivery starts the watch, which ends with the partition or with Run.
func (c *Consumer) heed(t *task) {
	yield := t.delivery.Yield
	if yield == nil && c.stopped == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watched[yield] {
		return
	}
	c.watched[yield] = true
	if c.stopped != nil {
		c.stopped.want(yield)
	}
	c.owners.Go(func() {
		select {
		case <-yield:
		case <-c.draining: // which gives back everything
			return
		}
		c.mu.Lock()
		delete(c.watched, yield) // before: what comes too late starts a watch of its own
		c.mu.Unlock()
		if c.stopped != nil {
			c.stopped.lost(yield)
		}
		for _, t := range c.queue.withdraw(yield) {
			c.settle(t, transport.Return)
		}
	})
}
