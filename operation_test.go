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

func TestAnOwnerThatIsAwayGetsItsOperationsFromItsQueue(t *testing.T) {
	ways(t, func(t *testing.T, w *world, strict ...parley.Registration) {
		w.serve(w.client("list"), getPrice.Handle(func(context.Context, item) (price, error) { return price{Cents: 1000}, nil }))
		first := &caterer{client: w.client("caterer")}
		stop := w.serve(first.client, append(strict, cater.Handle(1, first.cater))...)
		stop()
		guest := w.client("guest")
		run, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatalf("Start while the owner is away = %v; want nil, the request is in its queue", err)
		}
		if _, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"}, parley.WithID(run.ID)); err != nil {
			t.Fatalf("the same Start again = %v; want nil", err)
		}
		bad, err := plan.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := confirmed.Raise(t.Context(), guest, run.ID, confirmation{By: "ada"}); err != nil {
			t.Fatalf("Raise while the owner is away = %v; want nil", err)
		}
		waited := make(chan error, 1)
		go func() { _, err := run.Wait(t.Context(), guest); waited <- err }()
		time.Sleep(10 * time.Second)
		select {
		case err := <-waited:
			t.Fatalf("Wait = %v while the owner is away; want it to wait", err)
		default:
		}
		k := &caterer{client: w.client("caterer")}
		refuse := func(context.Context, order) (price, error) { return price{}, errSoldOut }
		w.serve(k.client, append(strict, cater.Handle(1, k.cater), plan.Handle(1, refuse))...)
		if err := <-waited; err != nil {
			t.Errorf("Wait = %v; want the result once the owner is back", err)
		}
		if did := k.deeds(); did != "deposit cook for ada" {
			t.Errorf("done: %s; want one operation, though it was asked for twice", did)
		}
		if _, err := bad.Wait(t.Context(), guest); !errors.Is(err, errSoldOut) {
			t.Errorf("Wait for the other one = %v; want what its code answered", err)
		}
	})
}

func TestBadInputIsRefusedBeforeAcceptanceAndFailsAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		guest := w.client("guest")
		_, err := cater.Start(t.Context(), guest, order{Table: "1"})
		e, ok := errors.AsType[*parley.Error](err)
		if !ok || e.Code != parley.InvalidArgument || !e.NotSent || len(e.Fields) != 1 || e.Fields[0].Path != "drink" {
			t.Errorf("Start without a drink = %v; want an InvalidArgument about it", err)
		}
		// A command line without the contract, while the owner is away: nobody can check.
		if err := w.directory.Register(t.Context(), cater.Address(), parley.OwnerGroup); err != nil {
			t.Fatal(err)
		}
		remote, err := parley.Lookup(t.Context(), guest, cater.Address())
		if err != nil {
			t.Fatal(err)
		}
		run, err := remote.Start(t.Context(), guest, []byte(`{"table":"1"}`))
		if err != nil {
			t.Fatalf("Start by queue = %v; want it accepted", err)
		}
		k := kitchen(t, w)
		_, err = run.Wait(t.Context(), guest)
		e, ok = errors.AsType[*parley.Error](err)
		if !ok || e.Code != parley.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Path != "drink" || k.deeds() != "" {
			t.Errorf("Wait = %v; want an operation that failed for its drink, and nothing done", err)
		}
		if _, err := remote.Start(t.Context(), guest, []byte(`{"table":"1"}`)); parley.CodeOf(err) != parley.InvalidArgument {
			t.Errorf("Start with the owner there = %v; want it refused", err)
		}
	})
}

func TestAnIDIsGoodForOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := kitchen(t, w)
		guest := w.client("guest")
		for range 3 {
			run, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"}, parley.WithID("order-1"))
			if err != nil || run.ID != "order-1" {
				t.Fatalf("Start = %+v, %v; want order-1", run, err)
			}
		}
		if _, err := cater.Start(t.Context(), guest, order{Table: "2", Drink: "tea"}, parley.WithID("order-1")); !errors.Is(err, parley.ErrKeyReused) {
			t.Errorf("Start of something else under the id = %v; want ErrKeyReused", err)
		}
		synctest.Wait()
		if did := k.deeds(); did != "deposit" {
			t.Errorf("done: %s; want one operation", did)
		}
		if _, err := confirmed.Raise(t.Context(), guest, "order-2", confirmation{By: "x"}); parley.CodeOf(err) != parley.NotFound {
			t.Errorf("Raise for an unknown id = %v; want NotFound", err)
		}
		began := time.Now()
		if _, err := cater.Execution("order-2").Wait(t.Context(), guest); parley.CodeOf(err) != parley.NotFound || time.Since(began) > time.Minute {
			t.Errorf("Wait for an unknown id = %v after %v; want NotFound after 20 s", err, time.Since(began))
		}
	})
}

func TestACancelOfWhatIsStillInTheQueueIsKeptWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		guest := w.client("guest")
		run, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		const reason = "two\nlines"
		if err := run.Cancel(t.Context(), guest, reason); err != nil {
			t.Fatalf("Cancel while the owner is away = %v; want nil", err)
		}
		kitchen(t, w)
		if _, err := run.Wait(t.Context(), guest); !errors.Is(err, parley.ErrCanceled) {
			t.Errorf("Wait = %v; want ErrCanceled", err)
		}
		if s, err := run.Status(t.Context(), guest); err != nil || s.Metadata.Reason != reason {
			t.Errorf("Status = %+v, %v; want the reason %q", s, err, reason)
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

// refusing is a journal that accepts nothing, as if the disk had become full.
type refusing struct{ operation.Journal }

func (r refusing) Commit(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	for _, c := range batch {
		if c.Accept != nil {
			return nil, errors.New("no room")
		}
	}
	return r.Journal.Commit(ctx, lease, batch)
}

// While the journal can't take an operation, whoever asks for it gets an answer in his time, and the owner can be stopped.
func TestNobodyWaitsForWhatTheJournalDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.client("lab")
		c.Network().Journal = func(ctx context.Context, service string) (operation.Journal, error) {
			j, err := w.journal(ctx, service)
			return refusing{j}, err
		}
		stop := w.serve(c, plan.Handle(1, func(context.Context, order) (price, error) { return price{Cents: 1}, nil }))
		guest := w.client("guest")
		run, err := plan.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatalf("Start = %v; want it in the queue", err)
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := run.Status(ctx, guest); err == nil || time.Since(began) > time.Second {
			t.Errorf("Status = %v after %v; want an error within a second", err, time.Since(began))
		}
		began = time.Now()
		stop()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("the owner took %v to stop", took)
		}
		w.serve(w.client("lab"), plan.Handle(1, func(context.Context, order) (price, error) { return price{Cents: 1}, nil }))
		if got, err := run.Wait(t.Context(), guest); err != nil || got.Cents != 1 {
			t.Errorf("Wait = %v, %v; want it done once there is room", got, err)
		}
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

func TestAnOperationSurvivesTheProcessThatOwnsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.serve(w.client("list"), getPrice.Handle(func(context.Context, item) (price, error) { return price{Cents: 1000}, nil }))
		first := &caterer{client: w.client("caterer")}
		stop := w.serve(first.client, cater.Handle(1, first.cater))
		guest := w.client("guest")
		run, err := cater.Start(t.Context(), guest, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		stop()
		time.Sleep(time.Hour)
		second := &caterer{client: w.client("caterer")}
		w.serve(second.client, cater.Handle(1, second.cater))
		if _, err := confirmed.Raise(t.Context(), guest, run.ID, confirmation{By: "ada"}); err != nil {
			t.Fatal(err)
		}
		if got, err := run.Wait(t.Context(), guest); err != nil || got.Cents != 500 {
			t.Errorf("Wait = %v, %v; want 500", got, err)
		}
		if first.deeds() != "deposit" || second.deeds() != "cook for ada" {
			t.Errorf("done by the first process: %q, by the second: %q; want each step once", first.deeds(), second.deeds())
		}
	})
}

func TestAServiceWithOperationsNeedsAJournalAndSoundVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.client("caterer")
		c.Network().Journal = nil
		code := func(context.Context, order) (price, error) { return price{}, nil }
		_, err := parley.NewService(c, plan.Handle(1, code))
		if err == nil || !strings.Contains(err.Error(), "journal") || !strings.Contains(err.Error(), "cafe.v1.plan") {
			t.Errorf("NewService without a journal = %v; want it refused by name", err)
		}
		_, err = parley.NewService(w.client("other"), plan.Handle(1, code).Earlier(2, nil), cater.Handle(0, code))
		for _, want := range []string{"Earlier(2)", "handler is nil", "version 0"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("NewService = %v; want it to say %q", err, want)
			}
		}
	})
}
