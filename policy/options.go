package policy

import (
	"errors"
	"fmt"
	"time"
)

// Options are the settings of a [Client]. Each zero value is the default that is named beside it.
type Options struct {
	// Timeout is the time of a whole call, its retries included, when its context has no deadline; 0 = 5 s.
	Timeout time.Duration
	// AttemptTimeout bounds an attempt that another one may follow; 0 = 2 s, which leaves room for a second within 5 s.
	AttemptTimeout time.Duration
	// Retries is how often a call is repeated at the most; 0 = 2, negative = never.
	Retries int
	// Breaker is for every breaker of the client.
	Breaker BreakerOptions
	// OnBreaker, if not nil, is told of every change of a breaker's state, from the goroutine of the call that caused
	// it, which waits meanwhile. Changes of one breaker that follow closely may be told out of order.
	OnBreaker func(BreakerStatus)
}

// BreakerOptions say when a breaker opens and how it closes again. Each zero value is the default beside it.
type BreakerOptions struct {
	Window    time.Duration // what is counted, in ten buckets; 0 = 10 s
	Requests  int           // fewer in the window never open it; 0 = 20
	Ratio     float64       // share of failures in the window that opens it; 0 = 0.5
	Connects  int           // so many failed connects in a row open it, whatever the window says; 0 = 5
	Open      time.Duration // how long it stays open the first time, ±20%; 0 = 5 s
	MaxOpen   time.Duration // each time it opens without having closed, Open doubles up to this; 0 = 60 s or Open
	Successes int           // so many probes in a row, one at a time, close it; 0 = 3
	Probe     time.Duration // a probe that runs longer has failed; 0 = 30 s
}

// Validate reports everything that is wrong with o in one error.
func (o Options) Validate() error {
	var errs []error
	check := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("call policy: "+format, args...))
		}
	}
	check(o.Timeout < 0, "timeout %v: want 0 (5s) or more", o.Timeout)
	check(o.AttemptTimeout < 0, "attempt timeout %v: want 0 (2s) or more", o.AttemptTimeout)
	b := o.Breaker
	check(b.Window < 0 || b.Window > 0 && b.Window < buckets, "breaker window %v: want 0 (10s) or at least %dns", b.Window, buckets)
	check(b.Requests < 0, "breaker requests %d: want 0 (20) or more", b.Requests)
	check(!(b.Ratio >= 0 && b.Ratio <= 1), "breaker ratio %v: want 0 (0.5) to 1", b.Ratio)
	check(b.Connects < 0, "breaker connects %d: want 0 (5) or more", b.Connects)
	check(b.Open < 0, "breaker open time %v: want 0 (5s) or more", b.Open)
	check(b.MaxOpen < 0 || b.MaxOpen > 0 && b.MaxOpen < b.withDefaults().Open,
		"breaker longest open time %v: want 0 (60s) or at least the open time, %v", b.MaxOpen, b.withDefaults().Open)
	check(b.Successes < 0, "breaker successes %d: want 0 (3) or more", b.Successes)
	check(b.Probe < 0, "breaker probe time %v: want 0 (30s) or more", b.Probe)
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	o.Timeout = or(o.Timeout, 5*time.Second)
	o.AttemptTimeout = or(o.AttemptTimeout, 2*time.Second)
	o.Retries = max(or(o.Retries, 2), 0)
	o.Breaker = o.Breaker.withDefaults()
	return o
}

func (b BreakerOptions) withDefaults() BreakerOptions {
	b.Window = or(b.Window, 10*time.Second)
	b.Requests = or(b.Requests, 20)
	b.Ratio = or(b.Ratio, 0.5)
	b.Connects = or(b.Connects, 5)
	b.Open = or(b.Open, 5*time.Second)
	b.MaxOpen = or(b.MaxOpen, max(60*time.Second, b.Open))
	b.Successes = or(b.Successes, 3)
	b.Probe = or(b.Probe, 30*time.Second)
	return b
}

// or is v, or what zero stands for.
func or[T comparable](v, zero T) T {
	if v == *new(T) {
		return zero
	}
	return v
}
