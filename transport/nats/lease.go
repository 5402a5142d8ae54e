package nats

import (
	"sync/atomic"
	"time"
)

// lease is a Broker's sign of life: a key that it alone writes again and again, each time over the revision that it
// wrote before. Who wants what a silent process has, removes its lease first, also by revision: so a renewal that is
// confirmed proves that nobody has taken anything since the one before, however late it is.
type lease struct {
	id   string
	born time.Time
	sent atomic.Pointer[time.Time] // when the last confirmed renewal was sent; nil = there is none

	revision uint64 // of the last renewal; the keeper's
}

// leaseMargin is how much earlier a process stops to count on its lease than others begin to doubt it.
const leaseMargin = 500 * time.Millisecond

// valid reports whether nobody can have taken the lease away yet: it was renewed less than [LeaseTTL] - leaseMargin
// ago, counted from before the renewal was sent.
func (l *lease) valid() bool {
	sent := l.sent.Load()
	return sent != nil && elapsed(*sent) < LeaseTTL-leaseMargin
}

// elapsed is the time since t by the monotonic clock, or by the wall clock if that says more: the first one stands still
// while a machine is suspended.
func elapsed(t time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

func (l *lease) confirm(sent time.Time, revision uint64) {
	l.revision = revision
	l.sent.Store(&sent)
}

// end makes the lease invalid for good.
func (l *lease) end() { l.sent.Store(nil) }
