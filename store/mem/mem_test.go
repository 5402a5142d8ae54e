package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/operation/journaltest"
	"github.com/parley-io/parley/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheJournalKeepsAllPromises(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, mem.New().Open)
}

func TestTheJournalKeepsAllPromisesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := journaltest.Check(t.Context(), mem.New().Open); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the suite took %v of the bubble's time; want none: nothing waits for the clock", took)
		}
	})
}

func TestAKilledProcessLeavesItsDataAndIsFencedOff(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), mem.New()
	open := func(worker string) (operation.Journal, operation.Lease) {
		j, err := d.Open(ctx)
		if err != nil {
			t.Fatalf("Open = %v; want no error", err)
		}
		lease, err := j.Register(ctx, worker)
		if err != nil {
			t.Fatalf("Register = %v; want no error", err)
		}
		return j, lease
	}
	commit := func(j operation.Journal, lease operation.Lease, id string) error {
		_, err := j.Commit(ctx, lease, []operation.Change{{Op: id, Accept: &operation.Record{ID: id}}})
		return err
	}
	killed, old := open("loans")
	if err := commit(killed, old, "a"); err != nil {
		t.Fatalf("Commit = %v; want no error", err)
	}
	next, lease := open("loans-2") // whatever its name: one process owns all
	if err := commit(killed, old, "b"); !errors.Is(err, operation.ErrFenced) {
		t.Errorf("Commit of the killed process = %v; want ErrFenced", err)
	}
	if err := commit(next, lease, "c"); err != nil {
		t.Errorf("Commit of the next process = %v; want no error", err)
	}
	found, err := next.Load(ctx, "a", "b", "c")
	if err != nil || len(found) != 2 || found[0].ID != "a" || found[1].ID != "c" {
		t.Errorf("Load = %v, %v; want a and c", found, err)
	}
}

func TestAnEndedContextOpensAndDoesNothing(t *testing.T) {
	t.Parallel()
	d := mem.New()
	j, err := d.Open(t.Context())
	if err != nil {
		t.Fatalf("Open = %v; want no error", err)
	}
	lease, err := j.Register(t.Context(), "loans")
	if err != nil {
		t.Fatalf("Register = %v; want no error", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Open(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v; want context.Canceled", err)
	}
	if _, err := j.Commit(ended, lease, []operation.Change{{Op: "a", Accept: &operation.Record{ID: "a"}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit = %v; want context.Canceled", err)
	}
	if found, err := j.Load(t.Context(), "a"); err != nil || len(found) != 0 {
		t.Errorf("Load = %v, %v; want nothing of the commit whose context had ended", found, err)
	}
}
