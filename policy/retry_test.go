package policy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestOnlyWhatMayPassAndIsSafeIsRepeated(t *testing.T) {
	notSent := func(e *transport.Error) *transport.Error { e.NotSent = true; return e }
	of := func(c transport.Code) *transport.Error { return &transport.Error{Code: c, Message: "scripted"} }
	for _, c := range []struct {
		name       string
		err        error
		idempotent bool
		requests   int
		noRetry    bool
	}{
		{"unavailable, idempotent", unavailable(), true, 3, true},
		{"unavailable, perhaps executed", unavailable(), false, 1, false},
		{"not sent, not idempotent", refusedConnection(), false, 3, true},
		{"deadline, idempotent", of(transport.DeadlineExceeded), true, 3, true},
		{"deadline, perhaps executed", of(transport.DeadlineExceeded), false, 1, false},
		{"internal", of(transport.Internal), true, 1, false},
		{"declared error", &transport.Error{Code: transport.FailedPrecondition, Name: "prices.v1.unknown-sku"}, true, 1, false},
		{"quota", of(transport.ResourceExhausted), true, 1, false},
		{"invalid, not sent", notSent(of(transport.InvalidArgument)), true, 1, false},
		{"cancelled", of(transport.Canceled), true, 1, false},
		{"callee's own retries were in vain", &transport.Error{Code: transport.Unavailable, NoRetry: true}, true, 1, true},
		{"no transport error", errors.New("driver defect"), true, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scripted(func(context.Context, string, int) error { return c.err })
				r := quote("a")
				r.Idempotent = c.idempotent
				_, err := New(s, nil, Options{}).Do(t.Context(), r)
				e := mustFail(t, err)
				if n := len(s.requests()); n != c.requests || e.NoRetry != c.noRetry {
					t.Errorf("%d requests, NoRetry %v; want %d, %v (%v)", n, e.NoRetry, c.requests, c.noRetry, e)
				}
				if e.Address != "prices.v1.quote" || e.ID != "1" || e.Peer != "a" {
					t.Errorf("error is about %q, %q, %q; want prices.v1.quote, 1, a", e.Address, e.ID, e.Peer)
				}
			})
		})
	}
}

func TestARepeatSaysWhichAttemptItIsAndLeavesTheEnvelope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sequence(unavailable(), unavailable())
		r := idempotent(quote("a"))
		if _, err := New(s, nil, Options{}).Do(t.Context(), r); err != nil {
			t.Fatalf("Do = %v; want the third attempt's answer", err)
		}
		for i, c := range s.requests() {
			if c.attempt != i+1 {
				t.Errorf("request %d says attempt %d; want %d", i+1, c.attempt, i+1)
			}
		}
		if r.Envelope.Attempt != 0 {
			t.Errorf("the caller's envelope has Attempt %d; want it untouched", r.Envelope.Attempt)
		}
	})
}

func TestBackOffIsJitteredOverItsFullRange(t *testing.T) {
	for n, millis := range []int{50, 100, 200, 400, 800, 1000, 1000} {
		limit := time.Duration(millis) * time.Millisecond
		var low, high bool
		for range 2000 {
			d := backoff(n + 1)
			if d < 0 || d > limit {
				t.Fatalf("back-off %d is %v; want 0 to %v", n+1, d, limit)
			}
			low, high = low || d < limit/10, high || d > limit*9/10
		}
		if !low || !high {
			t.Errorf("back-off %d reaches its lower tenth %v, upper tenth %v; want both", n+1, low, high)
		}
	}
}

func TestWhatWasNotSentGoesToAnotherInstanceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(func(_ context.Context, peer string, n int) error {
			if n == 1 {
				return refusedConnection()
			}
			return nil
		})
		if _, err := New(s, nil, Options{}).Do(t.Context(), quote("a", "b")); err != nil {
			t.Fatalf("Do = %v; want the other instance's answer", err)
		}
		c := s.requests()
		if len(c) != 2 || c[0].peer == c[1].peer || c[1].at != c[0].at {
			t.Errorf("requests %+v; want two, to different instances, at the same instant", c)
		}
	})
}

func TestRetryAfterIsAFloorAndHasALimit(t *testing.T) {
	for _, c := range []struct {
		after, timeout time.Duration
		requests       int
	}{
		{time.Second, 5 * time.Second, 2},
		{4 * time.Second, 3 * time.Second, 1}, // longer than there is time
		{6 * time.Second, time.Minute, 1},     // longer than anybody waits
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
			defer cancel()
			s := sequence(&transport.Error{Code: transport.Unavailable, RetryAfter: c.after})
			_, err := New(s, nil, Options{}).Do(ctx, idempotent(quote("a")))
			got := s.requests()
			if len(got) != c.requests || (err == nil) != (c.requests == 2) {
				t.Fatalf("Retry-After %v within %v: %d requests, %v; want %d", c.after, c.timeout, len(got), err, c.requests)
			}
			if last := got[len(got)-1].at; c.requests == 2 && (last < c.after || last > c.after+backoffBase) {
				t.Errorf("repeated after %v; want %v to %v", last, c.after, c.after+backoffBase)
			}
			if c.requests == 1 && time.Since(s.began) != 0 {
				t.Errorf("waited %v before failing; want none", time.Since(s.began))
			}
		})
	}
}

func TestNoBackOffEndsAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		failed := &transport.Error{Code: transport.Unavailable, Message: "card processor 503", RetryAfter: 300 * time.Millisecond}
		_, err := New(sequence(failed, failed, failed), nil, Options{}).Do(ctx, idempotent(quote("a")))
		e := mustFail(t, err)
		if e.Code != transport.Unavailable || !strings.Contains(e.Message, "card processor 503") || !e.NoRetry {
			t.Errorf("Do = %v, NoRetry %v; want the last real error with NoRetry", e, e.NoRetry)
		}
		if ctx.Err() != nil {
			t.Error("the deadline passed while it waited; want it to fail at once")
		}
		if failed.NoRetry || failed.Address != "" {
			t.Error("the driver's error was changed; want a copy")
		}
	})
}

func TestACallerWhoGivesUpEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s := sequence(&transport.Error{Code: transport.Unavailable, RetryAfter: 3 * time.Second})
		_, err := New(s, nil, Options{}).Do(ctx, idempotent(quote("a")))
		if e := mustFail(t, err); e.Code != transport.Canceled || time.Since(s.began) != time.Second {
			t.Errorf("Do = %v after %v; want canceled after 1s", e, time.Since(s.began))
		}
	})
}

func TestABudgetBoundsTheLoadOfRetries(t *testing.T) {
	for _, c := range []struct {
		rps, seconds int
		most         float64
	}{{500, 20, 1.11}, {20, 60, 1.16}} {
		synctest.Test(t, func(t *testing.T) {
			s := scripted(func(context.Context, string, int) error {
				time.Sleep(10 * time.Millisecond)
				return unavailable()
			})
			client := New(s, nil, Options{Breaker: BreakerOptions{Requests: 1 << 30}})
			for range c.rps * c.seconds {
				go func() { _, _ = client.Do(t.Context(), idempotent(quote("a"))) }()
				time.Sleep(time.Second / time.Duration(c.rps))
			}
			time.Sleep(5 * time.Second)
			calls := float64(c.rps * c.seconds)
			got := float64(len(s.requests())) / calls
			if got > c.most || got < 1.05 {
				t.Errorf("%d calls a second, all failing: %.3f times the load; want 1.05 to %.2f", c.rps, got, c.most)
			}
		})
	}
}

func TestAnEmptyBudgetIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(func(context.Context, string, int) error { return unavailable() })
		client := New(s, nil, Options{Breaker: BreakerOptions{Requests: 1 << 30}})
		var last *transport.Error
		for range 20 {
			_, err := client.Do(t.Context(), idempotent(quote("a")))
			last = mustFail(t, err)
		}
		if !strings.Contains(last.Message, "retry-budget of prices") || !last.NoRetry {
			t.Errorf("error %q, NoRetry %v; want it to name the retry-budget of prices, with NoRetry", last.Message, last.NoRetry)
		}
	})
}

func TestAClientWithoutRetriesLeavesThemToItsCaller(t *testing.T) {
	_, err := New(sequence(unavailable()), nil, Options{Retries: -1}).Do(t.Context(), idempotent(quote("a")))
	if e := mustFail(t, err); e.NoRetry {
		t.Errorf("%v has NoRetry; want none, because nothing was repeated by choice", e)
	}
}
