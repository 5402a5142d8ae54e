package policy

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

func TestTheLedgerHasEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := &notes{}
		if _, err := New(sequence(unavailable()), notes, Options{}).Do(t.Context(), idempotent(quote("a"))); err != nil {
			t.Fatal(err)
		}
		want := []struct {
			kind     ledger.Kind
			attempt  int
			reason   bool
			repeated bool
		}{{ledger.Called, 1, false, false}, {ledger.Answered, 1, true, true}, {ledger.Called, 2, false, false}, {ledger.Answered, 2, false, false}}
		if len(notes.all) != len(want) {
			t.Fatalf("%d transitions %+v; want %d", len(notes.all), notes.all, len(want))
		}
		for i, w := range want {
			got := notes.all[i]
			if got.Kind != w.kind || got.Attempt != w.attempt || (got.Reason != "") != w.reason || got.Until.IsZero() == w.repeated {
				t.Errorf("transition %d is %+v; want %+v", i, got, w)
			}
			if got.ID != "1" || got.Address != "prices.v1.quote" || got.Group != "prices" || got.Attempts != 3 || got.Style != "call" {
				t.Errorf("transition %d is about %+v; want call 1 of prices, 3 attempts at the most", i, got)
			}
		}
	})
}

func TestSuccessesAreSampledAndFailuresAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes, s := &notes{}, sequence()
		client := New(s, notes, Options{Retries: -1, Breaker: BreakerOptions{Requests: 1 << 30}})
		expect := func(what string, err error, transitions int, left uint64) {
			t.Helper()
			s.answer = func(context.Context, string, int) error { return err }
			notes.all = nil
			before := client.Unrecorded()
			for range 800 {
				_, _ = client.Do(t.Context(), quote("a"))
			}
			if n, l := len(notes.all), client.Unrecorded()-before; n != transitions || l != left {
				t.Errorf("%s: %d transitions, %d left out; want %d, %d", what, n, l, transitions, left)
			}
		}
		expect("800 good calls in a second", nil, 1000, 300)
		expect("800 bad ones in the same second", unavailable(), 1600, 0)
		time.Sleep(time.Second)
		expect("800 good ones in the next", nil, 1000, 300)
	})
}

func TestACallThatFailedOnceIsRecordedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes, s := &notes{}, sequence()
		client := New(s, notes, Options{})
		for range 600 {
			_, _ = client.Do(t.Context(), quote("a"))
		}
		notes.all = nil
		s.answer = func(_ context.Context, _ string, n int) error {
			if n == 601 {
				return &transport.Error{Code: transport.Unavailable, NotSent: true}
			}
			return nil
		}
		if _, err := client.Do(t.Context(), quote("b", "c")); err != nil {
			t.Fatal(err)
		}
		if n := len(notes.all); n != 4 || notes.all[3].Kind != ledger.Answered || notes.all[3].Reason != "" {
			t.Errorf("%d transitions %+v; want 4, the last of them a good answer", n, notes.all)
		}
	})
}
