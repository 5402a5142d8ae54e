package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/operation/journaltest"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(func(ctx context.Context, role []string) error { return write(ctx, role[0], role[1]) })
	goleak.VerifyTestMain(m)
}

func TestTheJournalKeepsAllPromises(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.db")
	journaltest.Run(t, func(ctx context.Context) (operation.Journal, error) { return Open(ctx, file, Options{}) })
}

// write is a child process: it commits batch after batch and says the number of each that is confirmed, until it is
// killed.
func write(ctx context.Context, file, round string) error {
	j, err := Open(ctx, file, Options{})
	if err != nil {
		return err
	}
	lease, err := j.Register(ctx, "loans")
	if err != nil {
		return err
	}
	for n := int64(1); ctx.Err() == nil; n++ {
		if _, err := j.Commit(ctx, lease, roundBatch(round, n)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(os.Stdout, n); err != nil {
			return err
		}
	}
	return nil
}

// roundBatch is the n-th batch of a process: two operations with a step and a signal, and the count of all batches.
func roundBatch(round string, n int64) []operation.Change {
	count := &operation.Record{ID: round, Revision: n}
	a, b := &operation.Record{ID: roundID(round, n, "a")}, &operation.Record{ID: roundID(round, n, "b"), Input: make([]byte, 5000)}
	return []operation.Change{
		{Op: count.ID, Accept: count},
		{Op: count.ID, Update: count},
		{Op: a.ID, Accept: a},
		{Op: a.ID, Entry: &operation.Entry{Seq: 1, Key: "pay", Ended: noon}},
		{Op: b.ID, Accept: b},
		{Op: b.ID, Signal: &operation.Signal{ID: "1", Name: "signed"}},
	}
}

func roundID(round string, n int64, name string) string {
	return fmt.Sprintf("%s/%d/%s", round, n, name)
}

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// open opens a journal for the time of the test.
func open(t testing.TB, file string, o Options) (*journal, operation.Lease) {
	t.Helper()
	j, err := Open(t.Context(), file, o)
	if err != nil {
		t.Fatalf("Open = %v; want no error", err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	})
	lease, err := j.Register(t.Context(), "loans")
	if err != nil {
		t.Fatalf("Register = %v; want no error", err)
	}
	return j.(*journal), lease
}

func commit(t testing.TB, j operation.Journal, lease operation.Lease, batch ...operation.Change) []operation.Outcome {
	t.Helper()
	outcomes, err := j.Commit(t.Context(), lease, batch)
	if err != nil {
		t.Fatalf("Commit = %v; want no error", err)
	}
	return outcomes
}

func accept(r *operation.Record) operation.Change { return operation.Change{Op: r.ID, Accept: r} }
