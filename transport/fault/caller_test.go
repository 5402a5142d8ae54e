package fault_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/fault"
	"github.com/parley-io/parley/transport/mem"
)

// called serves prices.v1.quote behind the injector and calls it n times with a second each.
func called(t *testing.T, rules string, n int) (handled int, errs []*transport.Error) {
	var runs atomic.Int32
	inj := fault.New()
	set(t, inj, rules)
	fabric := mem.New()
	callee := inj.Caller(fabric.Process("prices-1").Caller(), "prices")
	caller := inj.Caller(fabric.Process("shop-1").Caller(), "shop")
	serving, stop := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- callee.Answer(serving, []transport.Endpoint{{
			Address: "prices.v1.quote",
			Answer: func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
				runs.Add(1)
				return &transport.Envelope{ID: e.ID, Address: e.Address}, nil
			},
		}}, func(peer string) { ready <- peer })
	}()
	peer := <-ready
	for range n {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := caller.Request(ctx, peer, &transport.Envelope{ID: "1", Address: "prices.v1.quote"})
		cancel()
		e, ok := errors.AsType[*transport.Error](err)
		if err != nil && !ok {
			t.Errorf("Request = %v (%T); want an *transport.Error", err, err)
		}
		errs = append(errs, e)
	}
	synctest.Wait()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Answer = %v; want nil", err)
	}
	for _, c := range []transport.Caller{caller, callee, caller} {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	return int(runs.Load()), errs
}

func TestFaultsOfCalls(t *testing.T) {
	const lost = -1 // half of them
	for _, c := range []struct {
		rule    string
		handled int // of 20
		code    transport.Code
		notSent bool
		took    time.Duration // each
	}{
		{"", 20, "", false, 0},
		{"fail call other.v1.quote", 20, "", false, 0},
		{"fail call at prices", 20, "", false, 0}, // prices does not call
		{"fail call at shop with internal", 0, transport.Internal, false, 0},
		{"fail answer at prices with not-found", 0, transport.NotFound, false, 0},
		{"cut call", 0, transport.Unavailable, true, 0},
		{"delay 300ms call", 20, "", false, 300 * time.Millisecond},
		{"delay 300ms call\ndelay 100ms answer\ndelay 50ms answer", 20, "", false, 450 * time.Millisecond},
		{"delay 2s call", 0, transport.DeadlineExceeded, true, time.Second},
		{"delay 2s answer", 0, transport.DeadlineExceeded, false, time.Second},
		{"delay 300ms call\nfail call", 0, transport.Unavailable, false, 300 * time.Millisecond},
		{"lose call", lost, transport.DeadlineExceeded, false, time.Second},
		{"lose answer", 20, transport.DeadlineExceeded, false, time.Second},
		{"double call", 40, "", false, 0},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				handled, errs := called(t, c.rule, 20)
				if took := time.Since(began); took != 20*c.took {
					t.Errorf("20 calls took %v; want %v", took, 20*c.took)
				}
				if c.handled == lost && (handled < 4 || handled > 16) || c.handled != lost && handled != c.handled {
					t.Errorf("%d handled; want %d (-1 = about half of 20)", handled, c.handled)
				}
				for _, e := range errs {
					if c.code == "" && e != nil || c.code != "" && (e == nil || e.Code != c.code || e.NotSent != c.notSent) {
						t.Fatalf("Request = %+v; want %q, NotSent %v", e, c.code, c.notSent)
					}
				}
			})
		})
	}
}

func TestClosingEndsALostRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New()
		set(t, inj, "lose call")
		c := inj.Caller(mem.New().Process("p").Caller(), "shop")
		ended := make(chan error, 1)
		go func() {
			_, err := c.Request(context.Background(), "mem://nobody", &transport.Envelope{ID: "1", Address: "a.b"})
			ended <- err
		}()
		synctest.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Request = %v; want closed", err)
		}
	})
}
