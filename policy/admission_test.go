package policy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

// workers is a handler with a fixed capacity: n at a time, each for d.
func workers(n int, d time.Duration) Answer {
	free := make(chan struct{}, n)
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		defer func() { <-free }()
		time.Sleep(d)
		return e, ctx.Err()
	}
}

func TestOverloadLeavesTheCapacity(t *testing.T) {
	for _, c := range []struct {
		workers, initial int     // of 10 ms each; 0 = default
		load, least      float64 // of the capacity
	}{
		{8, 0, 1.2, 0.9},
		{8, 0, 3, 0.9},
		{2, 0, 1.2, 0.8}, // the default is 50 times too much
		{2, 0, 3, 0.8},
		{8, 512, 1.2, 0.9}, // 64 times too much collapses unless it adapts
		{8, 512, 3, 0.9},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := NewAdmission(AdmissionOptions{Initial: c.initial})
				answer := a.Wrap(workers(c.workers, 10*time.Millisecond))
				arrivals := rand.New(rand.NewPCG(1, 2))
				const seconds = 20
				capacity := 100 * float64(c.workers)
				var good, shed atomic.Int64
				began := time.Now()
				for time.Since(began) < seconds*time.Second {
					go func() {
						ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
						defer cancel()
						if _, err := answer(ctx, &transport.Envelope{}); err == nil {
							good.Add(1)
						} else if transport.CodeOf(err) == transport.Unavailable {
							shed.Add(1)
						}
					}()
					time.Sleep(time.Duration(arrivals.ExpFloat64() / (c.load * capacity) * float64(time.Second)))
				}
				time.Sleep(time.Second)
				rate := float64(good.Load()) / seconds
				t.Logf("%+v: %.0f/s answered in time, %.0f/s shed, %+v", c, rate, float64(shed.Load())/seconds, a.Status())
				if rate < c.least*capacity {
					t.Errorf("%+v: %.0f/s answered in time; want at least %.0f", c, rate, c.least*capacity)
				}
				if s := a.Status(); s.InFlight != 0 || s.Waiting != 0 || s.Refused < uint64(shed.Load()) {
					t.Errorf("afterwards %+v; want nothing in flight or waiting, %d or more refused", s, shed.Load())
				}
			})
		})
	}
}

// TestPatientCallersDoNotMakeOverloadSlow: deadlines are so long that nothing runs into them.
func TestPatientCallersDoNotMakeOverloadSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(AdmissionOptions{})
		answer := a.Wrap(workers(8, 10*time.Millisecond))
		var slowest atomic.Int64
		for range 30_000 { // 1500 a second where 800 can be answered
			go func() {
				began := time.Now()
				if _, err := answer(t.Context(), &transport.Envelope{}); err == nil {
					slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				}
			}()
			time.Sleep(time.Second / 1500)
		}
		time.Sleep(5 * time.Second)
		if got := time.Duration(slowest.Load()); got > 500*time.Millisecond || a.Status().Limit > 300 {
			t.Errorf("the slowest answer took %v, %+v; want at most 500ms, a limit of at most 300", got, a.Status())
		}
	})
}

func TestAHealthyBurstPassesFromTheStart(t *testing.T) {
	for _, callers := range []int{64, 256} {
		for _, took := range []time.Duration{time.Millisecond, 10 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				a := NewAdmission(AdmissionOptions{})
				answer := a.Wrap(func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
					time.Sleep(took)
					return e, nil
				})
				for range callers {
					go func() {
						for range 200 {
							_, _ = answer(t.Context(), &transport.Envelope{})
						}
					}()
				}
				time.Sleep(time.Minute)
				if s := a.Status(); s.Refused != 0 {
					t.Errorf("%d callers of a handler of %v: %d of %d refused; want none", callers, took, s.Refused, 200*callers)
				}
			})
		}
	}
}

// TestASlowerDependencyIsAccepted: what a handler calls takes ten times as long, for good. Requests are refused for a
// while, and then as many run as are needed.
func TestASlowerDependencyIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(AdmissionOptions{})
		var took atomic.Int64
		answer := a.Wrap(func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			time.Sleep(time.Duration(took.Load()))
			return e, nil
		})
		var all, good atomic.Int64
		run := func(d time.Duration) (share float64) {
			all.Store(0)
			good.Store(0)
			for began := time.Now(); time.Since(began) < d; time.Sleep(5 * time.Millisecond) {
				go func() {
					all.Add(1)
					if _, err := answer(t.Context(), &transport.Envelope{}); err == nil {
						good.Add(1)
					}
				}()
			}
			return float64(good.Load()) / float64(all.Load())
		}
		took.Store(int64(400 * time.Millisecond)) // 80 at once
		if share := run(20 * time.Second); share < 0.97 {
			t.Errorf("healthy: %.2f answered; want all but those that still run", share)
		}
		took.Store(int64(4 * time.Second)) // 800 at once
		run(90 * time.Second)
		if share := run(60 * time.Second); share < 0.9 {
			t.Errorf("90 s after the change: %.2f answered, %+v; want 0.9", share, a.Status())
		}
		time.Sleep(10 * time.Second)
	})
}

func TestPermitsOfAdmissionAreNeverLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(AdmissionOptions{Initial: 2, Max: 2, Min: 2})
		ends := []func(){func() { panic("handler defect") }, runtime.Goexit, func() {}}
		n := 0
		answer := a.Wrap(func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			n++
			ends[n%len(ends)]()
			return e, errors.New("failed")
		})
		for range 100 {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { _ = recover() }()
				_, _ = answer(t.Context(), &transport.Envelope{})
			}()
			wg.Wait()
		}
		if s := a.Status(); s.InFlight != 0 || n != 100 || s.Refused != 0 {
			t.Errorf("after 100 requests that ended in every way: %d ran, %+v; want 100, nothing in flight", n, s)
		}
	})
}

func TestARequestWithoutEnoughTimeIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(AdmissionOptions{})
		took, ran := 100*time.Millisecond, 0
		answer := a.Wrap(func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			ran++
			time.Sleep(took)
			return e, nil
		})
		call := func(timeout time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			_, err := answer(ctx, &transport.Envelope{})
			return err
		}
		refused := func(err error) bool {
			e, ok := errors.AsType[*transport.Error](err)
			return ok && e.Code == transport.DeadlineExceeded && e.NotSent
		}
		if err := call(9 * time.Millisecond); !refused(err) || ran != 0 {
			t.Errorf("with 9 ms left: %v, %d ran; want it refused", err, ran)
		}
		for range 10 {
			if err := call(time.Second); err != nil {
				t.Fatalf("with a second: %v", err)
			}
		}
		if err := call(50 * time.Millisecond); !refused(err) || ran != 10 {
			t.Errorf("with 50 ms for a handler of 100 ms: %v, %d ran; want it refused", err, ran)
		}
		took = time.Millisecond
		for i := 0; call(50*time.Millisecond) != nil; i++ {
			if i > 1000 {
				t.Fatal("a handler that has become fast is refused for ever")
			}
		}
	})
}

func TestTheQueueIsShortFairAndThenLastInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(AdmissionOptions{Initial: 1, Min: 1, Max: 1})
		var mu sync.Mutex
		var order []int
		next := make(chan struct{})
		answer := a.Wrap(func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			<-next
			mu.Lock()
			order = append(order, int(e.Body[0]))
			mu.Unlock()
			return e, nil
		})
		results := make(chan error, 10)
		begin := func(id byte) {
			go func() {
				_, err := answer(t.Context(), &transport.Envelope{Body: []byte{id}})
				results <- err
			}()
			synctest.Wait()
		}
		for id := range byte(3) {
			begin(id)
		}
		begin(3) // the queue of two is full
		e, ok := errors.AsType[*transport.Error](<-results)
		if !ok || e.Code != transport.Unavailable || !e.NotSent || e.RetryAfter < time.Second || e.RetryAfter > 3*time.Second {
			t.Fatalf("refused with %+v; want Unavailable, NotSent, RetryAfter of 1 to 3 s", e)
		}
		next <- struct{}{}
		next <- struct{}{}
		next <- struct{}{}
		for range 3 {
			if err := <-results; err != nil {
				t.Errorf("queued request: %v; want it answered", err)
			}
		}
		// Keep the queue from being empty for longer than 100 ms; each waits 50 ms and is gone.
		begin(10)
		for id := byte(11); id < 14; id++ {
			begin(id)
			time.Sleep(40 * time.Millisecond)
		}
		begin(14) // beside 13, which has waited for 40 ms
		begin(15) // full: the oldest makes room
		time.Sleep(30 * time.Millisecond)
		next <- struct{}{}
		next <- struct{}{}
		next <- struct{}{}
		synctest.Wait()
		if want := []int{0, 1, 2, 10, 15, 14}; !slices.Equal(order, want) {
			t.Errorf("order %v; want %v", order, want)
		}
	})
}

func TestAHandlersErrorIsNeverNotSent(t *testing.T) {
	a := NewAdmission(AdmissionOptions{})
	downstream := &transport.Error{Code: transport.Unavailable, NotSent: true, NoRetry: true, Message: "the breaker of cards is open"}
	_, err := a.Wrap(func(context.Context, *transport.Envelope) (*transport.Envelope, error) { return nil, downstream })(t.Context(), &transport.Envelope{})
	if e := mustFail(t, err); e.NotSent || !e.NoRetry || !downstream.NotSent {
		t.Errorf("answered %+v; want a copy without NotSent, because this handler began", e)
	}
}

func TestWrongOptionsAreNamedTogether(t *testing.T) {
	if err := errors.Join(Options{}.Validate(), AdmissionOptions{}.Validate()); err != nil {
		t.Errorf("the defaults are invalid: %v", err)
	}
	err := Options{Timeout: -1, Breaker: BreakerOptions{Ratio: 2, Open: time.Minute, MaxOpen: time.Second}}.Validate()
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("Validate() = %v; want three errors", err)
	}
	if (AdmissionOptions{Min: 10, Max: 5}).Validate() == nil {
		t.Error("Min above Max is accepted")
	}
}
