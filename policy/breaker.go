package policy

import (
	"math/rand/v2"
	"time"
)

// BreakerState is what a breaker does with calls.
type BreakerState string

const (
	Closed   BreakerState = "closed"    // lets every call pass
	Open     BreakerState = "open"      // refuses every call
	HalfOpen BreakerState = "half-open" // lets one call at a time pass, to probe
)

// BreakerStatus is what a breaker shows. Taking it changes nothing.
type BreakerStatus struct {
	Service  string       `json:"service"` // the callee
	Peer     string       `json:"peer"`    // the instance of it
	State    BreakerState `json:"state"`
	Since    time.Time    `json:"since"`          // when it entered State
	Until    time.Time    `json:"until,omitzero"` // when it probes, while it is open
	Requests int          `json:"requests"`       // ended in the window, while it is closed
	Failures int          `json:"failures"`       // of those
	Opened   uint64       `json:"opened"`         // times that it left closed
	Closed   uint64       `json:"closed"`         // times that it came back
}

// verdict is what the end of an attempt says about the peer.
type verdict uint8

const (
	noVerdict   verdict = iota // nothing: cancelled, shed by a callee that said so, ended by a panic
	working                    // the peer answered, be it with an error of its own
	failing                    // unavailable, or it took too long
	unreachable                // not even a connection
)

const buckets = 10 // of the window

// breaker is a state machine without a clock and without a lock; its owner has both. Each change of state begins a
// new generation, and an attempt that was let through in an older one no longer counts.
type breaker struct {
	o          *BreakerOptions
	born       time.Time // what buckets are counted from
	state      BreakerState
	generation uint64
	since      time.Time
	until      time.Time // while open: when to probe
	openFor    time.Duration
	window     [buckets]bucket
	connects   int // failed ones in a row
	successes  int // of probes in a row
	probing    bool
	probed     time.Time // when the running probe began
	opened     uint64
	closed     uint64
}

type bucket struct {
	number             int64 // counted from born; tells an old bucket from one in use
	requests, failures int
}

// permit is the right to make one attempt. Every permit ends in one leave, also when the attempt panics.
type permit struct {
	generation uint64
}

func newBreaker(o *BreakerOptions, now time.Time) breaker {
	return breaker{o: o, born: now, since: now, state: Closed}
}

// admits reports whether enter would give a permit now, and whether that would be to probe.
func (b *breaker) admits(now time.Time) (ok, probe bool) {
	switch b.state {
	case Open:
		due := !now.Before(b.until)
		return due, due
	case HalfOpen:
		return !b.probing, !b.probing
	}
	return true, false
}

// enter gives a permit, unless the breaker is open or a probe is running.
func (b *breaker) enter(now time.Time) (permit, bool) {
	if b.state == HalfOpen && b.probing && now.Sub(b.probed) >= b.o.Probe {
		b.open(now) // the probe hangs; it no longer counts, so nothing hangs on it
	}
	ok, probe := b.admits(now)
	if !ok {
		return permit{}, false
	}
	if b.state == Open {
		b.turn(HalfOpen, now)
	}
	if probe {
		b.probing, b.probed = true, now
	}
	return permit{b.generation}, true
}

// leave ends what enter began.
func (b *breaker) leave(p permit, now time.Time, v verdict) {
	switch {
	case p.generation != b.generation:
	case b.state == HalfOpen:
		b.probing = false
		b.judgeProbe(now, v)
	case v != noVerdict:
		b.count(now, v)
	}
}

func (b *breaker) judgeProbe(now time.Time, v verdict) {
	switch v {
	case failing, unreachable:
		b.open(now)
	case working:
		if b.successes++; b.successes >= b.o.Successes {
			b.turn(Closed, now)
			b.closed++
			b.openFor = 0
		}
	}
}

func (b *breaker) count(now time.Time, v verdict) {
	n := b.number(now)
	at := &b.window[n%buckets]
	if at.number != n {
		*at = bucket{number: n}
	}
	at.requests++
	if v == working {
		b.connects = 0
		return
	}
	at.failures++
	if v == unreachable {
		b.connects++
	} else {
		b.connects = 0
	}
	requests, failures := b.sum(now)
	if b.connects >= b.o.Connects || requests >= b.o.Requests && float64(failures) >= b.o.Ratio*float64(requests) {
		b.opened++
		b.open(now)
	}
}

// open refuses calls for a while: twice as long as the last time if it has not closed since. The jitter keeps many
// clients from probing a recovering peer at the same instant.
func (b *breaker) open(now time.Time) {
	b.openFor = min(max(2*b.openFor, b.o.Open), b.o.MaxOpen)
	b.turn(Open, now)
	b.until = now.Add(time.Duration(float64(b.openFor) * (0.8 + 0.4*rand.Float64())))
}

func (b *breaker) turn(to BreakerState, now time.Time) {
	b.state, b.since, b.until = to, now, time.Time{}
	b.generation++
	b.window = [buckets]bucket{}
	b.connects, b.successes, b.probing = 0, 0, false
}

func (b *breaker) number(now time.Time) int64 { return int64(now.Sub(b.born) / (b.o.Window / buckets)) }

func (b *breaker) sum(now time.Time) (requests, failures int) {
	oldest := b.number(now) - buckets + 1
	for _, at := range b.window {
		if at.number >= oldest {
			requests += at.requests
			failures += at.failures
		}
	}
	return requests, failures
}

// status is a pure read: an open breaker whose time is over is shown as half-open, and stays as it is.
func (b *breaker) status(now time.Time) BreakerStatus {
	s := BreakerStatus{State: b.state, Since: b.since, Until: b.until, Opened: b.opened, Closed: b.closed}
	if b.state == Open && !now.Before(b.until) {
		s.State, s.Since, s.Until = HalfOpen, b.until, time.Time{}
	}
	s.Requests, s.Failures = b.sum(now)
	return s
}
