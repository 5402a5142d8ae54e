package parley_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
)

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
