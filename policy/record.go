package policy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// recordedPerSecond bounds the attempts without a failure that one client reports in a second.
const recordedPerSecond = 500

// sampler chooses which calls are reported.
type sampler struct {
	mu      sync.Mutex
	began   time.Time // of the present second
	taken   int
	skipped atomic.Uint64
}

// take reports whether an attempt that begins now is among those that are reported.
func (s *sampler) take(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := now.Sub(s.began); d >= time.Second || d < 0 {
		s.began, s.taken = now, 0
	}
	s.taken++
	return s.taken <= recordedPerSecond
}

// began reports that attempt n begins, if this call is among those that are reported.
func (k *call) began(n int, now time.Time) {
	if k.client.silent || k.r.Unrecorded {
		return
	}
	k.recorded = k.recorded || k.client.sampler.take(now)
	if k.recorded {
		k.record(ledger.Called, n, now, 0, "", time.Time{})
	}
}

// succeeded reports that attempt n has ended well, or counts it as left out.
func (k *call) succeeded(n int, began time.Time) {
	switch {
	case k.client.silent || k.r.Unrecorded:
	case k.recorded:
		now := time.Now()
		k.record(ledger.Answered, n, now, now.Sub(began), "", time.Time{})
	default:
		k.client.sampler.skipped.Add(1)
	}
}

// failed reports that attempt n has ended badly and when it is repeated, zero = never. Every failure is reported, and
// from then on the whole call.
func (k *call) failed(n int, began, now time.Time, why *transport.Error, next time.Time) {
	if k.client.silent || k.r.Unrecorded {
		return
	}
	if !k.recorded {
		k.recorded = true
		k.record(ledger.Called, n, began, 0, "", time.Time{})
	}
	k.record(ledger.Answered, n, now, now.Sub(began), why.Error(), next)
}

func (k *call) record(kind ledger.Kind, n int, at time.Time, took time.Duration, reason string, next time.Time) {
	t := ledger.Of(kind, "call", k.r.Envelope)
	t.At, t.Group, t.Attempt, t.Attempts = at, k.r.Service, n, k.attempts
	t.Took, t.Reason, t.Until = took, reason, next
	k.client.rec.Record(t, nil)
}
