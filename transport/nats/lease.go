package nats

import (
	"math"
	"sync/atomic"
	"time"
)

// lease is a Broker's sign of life: a key that it alone writes again and again, each time over the revision that it
// wrote before. Who wants what a silent process has, removes its lease first, also by revision: so a renewal that is
// confirmed proves that nobody has taken anything since the one before, however late it is.
type lease struct {
	id   string
	born time.Time
	sent atomic.Int64 // when the last confirmed renewal was sent, since born

	revision uint64 // of the last renewal; the keeper's
}

// leaseMargin is how much earlier a process stops to count on its lease than others begin to doubt it.
const leaseMargin = 500 * time.Millisecond

// valid reports whether nobody can have taken the lease away yet: it was renewed less than [LeaseTTL] - leaseMargin
// ago by the monotonic clock, counted from before the renewal was sent.
func (l *lease) valid() bool {
	return time.Since(l.born)-time.Duration(l.sent.Load()) < LeaseTTL-leaseMargin
}

func (l *lease) confirm(sent time.Time, revision uint64) {
	l.revision = revision
	l.sent.Store(int64(sent.Sub(l.born)))
}

// end makes the lease invalid for good.
func (l *lease) end() { l.sent.Store(math.MinInt64 / 2) }
