package parley_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
)

// caterer is a service that owns an operation, with what it really did, in order.
type caterer struct {
	client *parley.Client

	mu   sync.Mutex
	did  []string
	fail error // what cook answers
}

func (k *caterer) notef(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.did = append(k.did, fmt.Sprintf(format, args...))
}

// deeds is what was done so far.
func (k *caterer) deeds() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.did, " ")
}

// cater asks for the price, takes a deposit, waits for the confirmation and cooks.
func (k *caterer) cater(ctx context.Context, o order) (price, error) {
	p, err := getPrice.Call(ctx, k.client, item{Name: o.Drink})
	if err != nil {
		return price{}, err
	}
	parley.Undo(ctx, "repay", func(context.Context) error { k.notef("repay"); return nil })
	deposit := parley.Go(ctx, "deposit", func(context.Context) (int, error) { k.notef("deposit"); return p.Cents / 2, nil })
	paid, err := deposit.Get(ctx)
	if err != nil {
		return price{}, err
	}
	c, err := confirmed.Await(ctx, parley.Within(24*time.Hour))
	if err != nil {
		return price{}, err
	}
	if _, err := parley.Step(ctx, "cook", func(context.Context) (string, error) { k.notef("cook for %s", c.By); return "", k.fail }); err != nil {
		return price{}, err
	}
	if _, err := served.Publish(ctx, k.client, o); err != nil {
		return price{}, err
	}
	return price{Cents: p.Cents - paid}, nil
}

// kitchen opens a world with a price list and a caterer, strict or not.
func kitchen(t *testing.T, w *world, registrations ...parley.Registration) *caterer {
	t.Helper()
	w.serve(w.client("list"), getPrice.Handle(func(_ context.Context, i item) (price, error) {
		if i.Name == "unicorn" {
			return price{}, errSoldOut
		}
		return price{Cents: 1000}, nil
	}))
	k := &caterer{client: w.client("caterer")}
	w.serve(k.client, append(registrations, cater.Handle(1, k.cater))...)
	return k
}

// ways runs a test with operations as they are, and with ones that crash after each step.
func ways(t *testing.T, test func(t *testing.T, w *world, strict ...parley.Registration)) {
	t.Helper()
	t.Run("ordinary", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) }) })
	t.Run("strict", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newWorld(t), parley.StrictOperations()) })
	})
}

func TestAnOperationAnswersAtOnceAndEndsAfterItsSignal(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		k := kitchen(t, w, strict...)
		guest := w.client("guest")
		began := time.Now()
		run, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil || run.ID == "" || time.Since(began) > 0 {
			t.Fatalf("Start = %+v, %v after %v; want an id at once", run, err, time.Since(began))
		}
		time.Sleep(time.Hour)
		s, err := run.Status(t.Context(), guest)
		if err != nil || s.Status != operation.Running || s.Done || !slices.Equal(s.Metadata.Left, []string{"cook"}) {
			t.Errorf("Status = %+v, %v; want it Running, with cook left to do", s, err)
		}
		if n := len(s.Metadata.Steps); n != 3 || s.Metadata.Steps[n-1].State != parley.StepWaiting || s.Metadata.Steps[n-1].Kind != operation.KindSignal {
			t.Errorf("steps = %+v; want a call, the deposit, and the wait for a signal", s.Metadata.Steps)
		}
		if _, err := confirmed.Raise(t.Context(), guest, run.ID, confirmation{By: "ada"}); err != nil {
			t.Fatal(err)
		}
		got, err := run.Wait(t.Context(), guest)
		if err != nil || got.Cents != 500 {
			t.Errorf("Wait = %+v, %v; want what is left to pay, 500", got, err)
		}
		if did := k.deeds(); did != "deposit cook for ada" {
			t.Errorf("done: %s; want each step once and nothing undone", did)
		}
		again, err := cater.Execution(run.ID).Status(t.Context(), guest)
		if err != nil || again.Status != operation.Succeeded || again.Metadata.Progress.Done != again.Metadata.Progress.Of {
			t.Errorf("Status = %+v, %v; want it Succeeded with every step done", again, err)
		}
	})
}

func TestASignalMayComeBeforeTheOperationAsksForIt(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		kitchen(t, w, strict...)
		guest := w.client("guest")
		run, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := confirmed.Raise(t.Context(), guest, run.ID, confirmation{By: "bob"}); err != nil {
			t.Fatal(err)
		}
		if got, err := run.Wait(t.Context(), guest); err != nil || got.Cents != 500 {
			t.Errorf("Wait = %+v, %v; want 500", got, err)
		}
	})
}

func TestAFailedOperationIsUndoneAndItsErrorReachesWhoWaits(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		k := kitchen(t, w, strict...)
		k.fail = parley.WithDetails(errSoldOut, shortage{Left: 2})
		guest := w.client("guest")
		run, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := confirmed.Raise(t.Context(), guest, run.ID, confirmation{By: "ada"}); err != nil {
			t.Fatal(err)
		}
		_, err = run.Wait(t.Context(), guest)
		if d, ok := parley.DetailsOf[shortage](err); !errors.Is(err, errSoldOut) || !ok || d.Left != 2 {
			t.Errorf("Wait = %v; want the declared error with its details", err)
		}
		if did := k.deeds(); did != "deposit cook for ada repay" {
			t.Errorf("done: %s; want the deposit repaid at the end", did)
		}
	})
}

func TestWhatNeverBeganIsNotUndone(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		k := kitchen(t, w, strict...)
		_, err := cater.Call(t.Context(), w.client("guest"), order{Table: "1", Drink: "unicorn"})
		if !errors.Is(err, errSoldOut) || k.deeds() != "" {
			t.Errorf("Call = %v, done: %q; want sold out and nothing done or undone", err, k.deeds())
		}
	})
}

func TestADeadlineOfASignalAndACancelUndo(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		k := kitchen(t, w, strict...)
		guest := w.client("guest")
		began := time.Now()
		_, err := cater.Call(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if parley.CodeOf(err) != parley.DeadlineExceeded || time.Since(began) < 24*time.Hour || k.deeds() != "deposit repay" {
			t.Errorf("Call = %v after %v, done: %q; want DeadlineExceeded after a day and the deposit repaid", err, time.Since(began), k.deeds())
		}
		run, err := cater.Start(t.Context(), guest, order{Table: "2", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := run.Cancel(t.Context(), guest, "it rains"); err != nil {
			t.Fatal(err)
		}
		if _, err := run.Wait(t.Context(), guest); !errors.Is(err, parley.ErrCanceled) || k.deeds() != "deposit repay deposit repay" {
			t.Errorf("Wait = %v, done: %q; want ErrCanceled and the second deposit repaid, too", err, k.deeds())
		}
		if err := run.Cancel(t.Context(), guest, "still"); err != nil {
			t.Errorf("a second Cancel = %v; want nil", err)
		}
		if _, err := confirmed.Raise(t.Context(), guest, run.ID, confirmation{By: "late"}); parley.CodeOf(err) != parley.FailedPrecondition {
			t.Errorf("Raise for an operation that has ended = %v; want a FailedPrecondition", err)
		}
	})
}

func TestAnExecutionThatKnowsNothingSaysSo(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		kitchen(t, w)
		c := w.client("planner")
		w.serve(c, append(strict, plan.Handle(1, func(ctx context.Context, _ order) (price, error) {
			return cater.Execution("typo").Wait(ctx, c)
		}))...)
		began := time.Now()
		_, err := plan.Call(t.Context(), w.client("guest"), order{Table: "1", Drink: "tea"})
		if parley.CodeOf(err) != parley.NotFound || time.Since(began) > time.Minute {
			t.Errorf("waiting for an unknown id in an operation = %v after %v; want NotFound after 20 s", err, time.Since(began))
		}
		if _, err := (parley.Execution[price]{ID: "x"}).Wait(t.Context(), c); parley.CodeOf(err) != parley.FailedPrecondition {
			t.Errorf("Wait of an Execution made by hand = %v; want FailedPrecondition", err)
		}
	})
}
