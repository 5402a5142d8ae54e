package parley_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
)

// Each of two parallel parts of a step sends something, and not always in the same order.
func TestPartsOfAStepKeepTheirIDsWhateverTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		cleaned := map[string]int{}
		w.serve(w.client("crew"), clean.Handle(func(_ context.Context, o order) error {
			mu.Lock()
			defer mu.Unlock()
			cleaned[o.Table]++
			return nil
		}))
		c := w.client("planner")
		attempt := 0
		w.serve(c, plan.Handle(1, func(ctx context.Context, _ order) (price, error) {
			return parley.Step(ctx, "tables", func(ctx context.Context) (price, error) {
				attempt++
				first := attempt == 1
				tidy := func(table string, after time.Duration) *parley.Future[parley.MessageID] {
					return parley.Go(ctx, table, func(ctx context.Context) (parley.MessageID, error) {
						if err := parley.Sleep(ctx, after); err != nil || first && table == "b" {
							return "", errors.Join(err, errSoldOut)
						}
						return clean.Send(ctx, c, order{Table: table, Drink: "none"})
					})
				}
				a, b := tidy("a", time.Second), tidy("b", 0)
				_, errA := a.Get(ctx)
				_, errB := b.Get(ctx)
				if err := errors.Join(errA, errB); err != nil {
					return price{}, errors.New("again")
				}
				return price{Cents: 1}, nil
			}, parley.Attempts(3))
		}))
		if _, err := plan.Call(t.Context(), w.client("guest"), order{Table: "1", Drink: "tea"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if cleaned["a"] != 1 || cleaned["b"] != 1 {
			t.Errorf("cleaned %v; want each table once", cleaned)
		}
	})
}

func TestOneFunctionServesAsACallAndAsAnOperation(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		c := w.client("cafe")
		var mu sync.Mutex
		undone := 0
		quote := func(ctx context.Context, o order) (price, error) {
			parley.Undo(ctx, "forget", func(context.Context) error { mu.Lock(); defer mu.Unlock(); undone++; return nil })
			half := parley.Go(ctx, "half", func(context.Context) (int, error) { return 2, nil })
			full, err := parley.Step(ctx, "full", func(context.Context) (int, error) { return len(o.Drink), nil })
			if err != nil {
				return price{}, err
			}
			h, err := half.Get(ctx)
			if err == nil && o.Drink == "none" {
				err = errSoldOut
			}
			return price{Cents: full / h}, err
		}
		w.serve(c, append(strict, plan.Handle(1, quote), priceOf.Handle(quote))...)
		guest := w.client("guest")
		byCall, err := priceOf.Call(t.Context(), guest, order{Table: "1", Drink: "espresso"})
		if err != nil {
			t.Fatal(err)
		}
		byOperation, err := plan.Call(t.Context(), guest, order{Table: "1", Drink: "espresso"})
		if err != nil || byCall != byOperation || byCall.Cents != 4 {
			t.Errorf("as a call %v, as an operation %v, %v; want 4 cents both ways", byCall, byOperation, err)
		}
		if _, err := priceOf.Call(t.Context(), guest, order{Table: "1", Drink: "none"}); !errors.Is(err, errSoldOut) {
			t.Errorf("as a call = %v; want sold out", err)
		}
		if _, err := plan.Call(t.Context(), guest, order{Table: "1", Drink: "none"}); !errors.Is(err, errSoldOut) {
			t.Errorf("as an operation = %v; want sold out", err)
		}
		if undone != 2 {
			t.Errorf("undone %d times; want once each way", undone)
		}
	})
}

func TestAnOperationAsksManyAndWaitsForAnother(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		k := kitchen(t, w, strict...)
		c := w.client("planner")
		w.serve(c, append(strict, plan.Handle(1, func(ctx context.Context, o order) (price, error) {
			offers, err := parley.Gather(ctx, "offers", []int{3, 1, 2, 9}, func(ctx context.Context, n int) (int, error) {
				if n == 1 {
					return 0, errors.New("closed")
				}
				return n, parley.Sleep(ctx, time.Duration(n)*time.Second)
			}, parley.Enough(2), parley.Within(5*time.Second))
			if err != nil || !slices.Equal(offers.Values(), []int{2, 3}) || len(offers.Failures) != 2 {
				t.Errorf("Gather = %+v, %v; want the two that were fast enough", offers, err)
			}
			if err := parley.Sleep(ctx, 48*time.Hour); err != nil {
				t.Errorf("Sleep = %v; want nil in an operation", err)
			}
			run, err := cater.Start(ctx, c, o)
			if err != nil {
				return price{}, err
			}
			if _, err := confirmed.Raise(ctx, c, run.ID, confirmation{By: "the planner"}); err != nil {
				return price{}, err
			}
			return run.Wait(ctx, c)
		}))...)
		began := time.Now()
		got, err := plan.Call(t.Context(), w.client("guest"), order{Table: "1", Drink: "tea"})
		if took := time.Since(began); err != nil || got.Cents != 500 || took < 48*time.Hour || took > 49*time.Hour {
			t.Errorf("Call = %v, %v after %v; want 500 after two days", got, err, took)
		}
		if did := k.deeds(); did != "deposit cook for the planner" {
			t.Errorf("done: %s; want the other operation done once", did)
		}
	})
}

func TestGatherSaysWhoDidNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := parley.Gather(t.Context(), "offers", []string{"slow", "broken", "mad", "fine"}, func(ctx context.Context, who string) (string, error) {
			switch who {
			case "slow":
				<-ctx.Done()
				return "", ctx.Err()
			case "broken":
				return "", errSoldOut
			case "mad":
				panic("no")
			}
			return who, nil
		}, parley.Enough(2), parley.Within(time.Second))
		if !errors.Is(err, parley.ErrTooFew) || !slices.Equal(got.Values(), []string{"fine"}) || len(got.Failures) != 3 {
			t.Errorf("Gather = %+v, %v; want ErrTooFew with one answer and three failures", got, err)
		}
		codes := map[int]parley.Code{}
		for _, f := range got.Failures {
			codes[f.From] = f.Code
		}
		if codes[0] != parley.DeadlineExceeded || codes[1] != parley.FailedPrecondition || codes[2] != parley.Internal {
			t.Errorf("failures = %+v; want a deadline, what was answered, and a panic", got.Failures)
		}
		if _, err := parley.Gather(t.Context(), "offers", []int{1}, func(context.Context, int) (int, error) { return 0, nil }, parley.Enough(2)); parley.CodeOf(err) != parley.InvalidArgument {
			t.Errorf("Gather of 2 out of 1 = %v; want an InvalidArgument", err)
		}
	})
}

func TestWhatIsWrongWithTheCodeParksTheOperationAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		guest := w.client("guest")
		codes := map[string]func(ctx context.Context) error{
			"be kept": func(ctx context.Context) error {
				_, err := parley.Step(ctx, "odd", func(context.Context) (func(), error) { return func() {}, nil })
				return err
			},
			"twice": func(ctx context.Context) error {
				for range 2 {
					if _, err := parley.Step(ctx, "twice", func(context.Context) (int, error) { return 1, nil }); err != nil {
						return err
					}
				}
				return nil
			},
			"out of range": func(context.Context) error { _ = []int{}[len(w.t.Name())]; return nil },
			"broken undo": func(ctx context.Context) error {
				parley.Undo(ctx, "mend", func(context.Context) error { panic("broken undo") })
				_, err := parley.Step(ctx, "break", func(context.Context) (int, error) { return 0, errSoldOut })
				return err
			},
			"a step": func(ctx context.Context) error {
				_, err := parley.Step(ctx, "a step", func(context.Context) (int, error) { return 0, nil })
				return err
			},
		}
		mended := false
		c := w.client("caterer")
		stop := w.serve(c, plan.Handle(1, func(ctx context.Context, o order) (price, error) {
			if mended {
				return price{Cents: 7}, nil
			}
			return price{}, codes[o.Drink](ctx)
		}))
		for name := range codes {
			run, err := plan.Start(t.Context(), guest, order{Table: "1", Drink: name}, parley.WithID(parley.MessageID(strings.ReplaceAll(name, " ", "-"))))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			s, err := run.Status(t.Context(), guest)
			if err != nil || s.Status != operation.Parked || !strings.Contains(s.Metadata.Parked, name) {
				t.Errorf("%s: Status = %v, parked %q, %v; want it Parked with the reason", name, s.Status, s.Metadata.Parked, err)
			}
		}
		stop()
		mended = true
		w.serve(w.client("caterer"), plan.Handle(1, func(context.Context, order) (price, error) { return price{Cents: 7}, nil }))
		got, err := plan.Execution("out-of-range").Wait(t.Context(), guest)
		if err != nil || got.Cents != 7 {
			t.Errorf("Wait for a parked operation whose code was mended = %v, %v; want its result", got, err)
		}
	})
}

func TestStepsFromTwoGoroutinesParkTheOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.serve(w.client("lab"), plan.Handle(1, func(ctx context.Context, _ order) (price, error) {
			var both sync.WaitGroup
			for _, name := range []string{"left", "right"} {
				both.Go(func() {
					_, _ = parley.Step(ctx, name, func(ctx context.Context) (int, error) { return 1, parley.Sleep(ctx, time.Second) })
				})
			}
			both.Wait()
			return price{}, nil
		}))
		guest := w.client("guest")
		run, err := plan.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s, err := run.Status(t.Context(), guest)
		if err != nil || s.Status != operation.Parked || !strings.Contains(s.Metadata.Parked, "two goroutines") {
			t.Errorf("Status = %v %q, %v; want it Parked with the reason", s.Status, s.Metadata.Parked, err)
		}
		stop()
	})
}

func TestAResultThatCannotBeKeptUndoesNothing(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		undone := false
		w.serve(w.client("lab"), append(strict, measure.Handle(1, func(ctx context.Context, _ order) (ratio, error) {
			parley.Undo(ctx, "spill", func(context.Context) error { undone = true; return nil })
			_, err := parley.Step(ctx, "pour", func(context.Context) (int, error) { return 1, nil })
			return ratio{math.NaN()}, err
		}))...)
		guest := w.client("guest")
		run, err := measure.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s, err := run.Status(t.Context(), guest)
		if err != nil || s.Status != operation.Parked || !strings.Contains(s.Metadata.Parked, "can't be kept") || undone {
			t.Errorf("Status = %v %q, undone %v, %v; want it Parked and nothing undone", s.Status, s.Metadata.Parked, undone, err)
		}
	})
}

func TestAnOperationKeepsItsVersionUntilNoneIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		guest := w.client("guest")
		code := func(cents int) func(ctx context.Context, _ order) (price, error) {
			return func(ctx context.Context, _ order) (price, error) {
				if _, err := parley.Step(ctx, fmt.Sprintf("step-of-%d", cents), func(context.Context) (int, error) { return 1, nil }); err != nil {
					return price{}, err
				}
				return price{Cents: cents}, parley.Sleep(ctx, 24*time.Hour)
			}
		}
		stop := w.serve(w.client("caterer"), plan.Handle(1, code(1)))
		old, err := plan.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		stop()
		stop = w.serve(w.client("caterer"), plan.Handle(2, code(2))) // the earlier one was forgotten
		time.Sleep(25 * time.Hour)
		s, err := old.Status(t.Context(), guest)
		if err != nil || s.Status != operation.Parked || s.Version != 1 || !strings.Contains(s.Metadata.Parked, "version 1") {
			t.Errorf("Status = %v %q, %v; want it Parked, for version 1 is not registered", s.Status, s.Metadata.Parked, err)
		}
		stop()
		w.serve(w.client("caterer"), plan.Handle(2, code(2)).Earlier(1, code(1)))
		if got, err := old.Wait(t.Context(), guest); err != nil || got.Cents != 1 {
			t.Errorf("the old operation = %v, %v; want that of version 1", got, err)
		}
		if got, err := plan.Call(t.Context(), guest, order{Table: "1", Drink: "tea"}); err != nil || got.Cents != 2 {
			t.Errorf("a new operation = %v, %v; want that of version 2", got, err)
		}
	})
}
