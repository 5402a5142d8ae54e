package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/operation"
)

func TestAFullDiskFailsTheWholeBatchAndEndsWithRoom(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.db")
	j, lease := open(t, file, Options{MaxBytes: 512 << 10})
	batch := func(n int) (batch []operation.Change, ids []string) {
		for i := range 3 {
			id := fmt.Sprintf("%d-%d", n, i)
			ids = append(ids, id)
			batch = append(batch, accept(&operation.Record{ID: id, Status: operation.Succeeded, Finished: noon, Input: make([]byte, 10_000)}))
		}
		return batch, ids
	}
	there := func(ids []string) int {
		found, err := j.Load(t.Context(), ids...)
		if err != nil {
			t.Fatalf("Load = %v; want no error", err)
		}
		return len(found)
	}
	stored := 0
	changes, ids := batch(0)
	var err error
	for ; stored < 100; stored++ {
		changes, ids = batch(stored)
		if _, err = j.Commit(t.Context(), lease, changes); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "disk full") {
		t.Fatalf("Commit number %d = %v; want ErrFull with the file's name", stored, err)
	}
	if stored < 5 || there(ids) != 0 {
		t.Errorf("%d batches fit, and %d operations of the next are there; want some, and none", stored, there(ids))
	}
	if _, err := j.Commit(t.Context(), lease, changes); !errors.Is(err, ErrFull) {
		t.Errorf("Commit again = %v; want ErrFull as before", err)
	}
	for n := range stored {
		if _, ids := batch(n); there(ids) != 3 {
			t.Errorf("%d operations of batch %d are there; want 3: it was confirmed", there(ids), n)
		}
	}
	got := commit(t, j, lease, operation.Change{Forget: noon.Add(1)})
	if got[0].Forgot != 3*stored {
		t.Errorf("Forget = %d; want %d", got[0].Forgot, 3*stored)
	}
	commit(t, j, lease, changes...)
	if there(ids) != 3 {
		t.Errorf("%d operations are there after the repeat; want 3", there(ids))
	}
}

func TestAChangeThatFailsTakesItsBatchBack(t *testing.T) {
	t.Parallel()
	j, lease := open(t, filepath.Join(t.TempDir(), "journal.db"), Options{})
	// "fail" leaves the transaction as it is, unlike a disk that is full.
	trigger := "create temp trigger broken before insert on entries when new.key = 'bad' begin select raise(fail, 'no'); end"
	if _, err := j.w.conn.ExecContext(t.Context(), trigger); err != nil {
		t.Fatal(err)
	}
	enter := func(key string) operation.Change {
		return operation.Change{Op: "a", Entry: &operation.Entry{Seq: 1, Key: key}}
	}
	_, err := j.Commit(t.Context(), lease, []operation.Change{accept(&operation.Record{ID: "a"}), enter("bad")})
	if err == nil || !strings.Contains(err.Error(), "commit 2 changes") {
		t.Errorf("Commit = %v; want an error that says what was attempted", err)
	}
	if found, err := j.Load(t.Context(), "a"); err != nil || len(found) != 0 {
		t.Errorf("Load = %d operations, %v; want nothing of the batch", len(found), err)
	}
	commit(t, j, lease, accept(&operation.Record{ID: "a"}), enter("good"))
	if found, err := j.Load(t.Context(), "a"); err != nil || len(found) != 1 || len(found[0].Entries) != 1 {
		t.Errorf("Load = %+v, %v; want the operation of the next batch with its entry", found, err)
	}
}

func TestReadersDoNotHoldTheWriterUp(t *testing.T) {
	t.Parallel()
	j, lease := open(t, filepath.Join(t.TempDir(), "journal.db"), Options{})
	commit(t, j, lease, accept(&operation.Record{ID: "a"}))
	tx, err := j.reads.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		if err := tx.QueryRowContext(t.Context(), "select count(*) from operations").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := count(); got != 1 {
		t.Errorf("a reader sees %d operations; want 1", got)
	}
	commit(t, j, lease, accept(&operation.Record{ID: "b"})) // fails the test if it has to wait for too long
	if got := count(); got != 1 {
		t.Errorf("a reader sees %d operations after a commit; want 1, as when it began", got)
	}
	if found, err := j.Load(t.Context(), "a", "b"); err != nil || len(found) != 2 {
		t.Errorf("Load beside a reader = %d operations, %v; want 2", len(found), err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsAreSafeAndSmall(t *testing.T) {
	t.Parallel()
	j, _ := open(t, filepath.Join(t.TempDir(), "journal.db"), Options{})
	for _, c := range []struct {
		pragma         string
		writer, reader string
	}{
		{"journal_mode", "wal", "wal"},
		{"synchronous", "2", "2"},
		{"foreign_keys", "1", "0"},
		{"busy_timeout", "5000", "5000"},
		{"cache_size", "-2048", "-512"},
		{"query_only", "0", "1"},
	} {
		var w, r string
		if err := j.w.conn.QueryRowContext(t.Context(), "pragma "+c.pragma).Scan(&w); err != nil {
			t.Fatal(err)
		}
		if err := j.reads.QueryRowContext(t.Context(), "pragma "+c.pragma).Scan(&r); err != nil {
			t.Fatal(err)
		}
		if w != c.writer || r != c.reader {
			t.Errorf("%s = %s for the writer and %s for readers; want %s and %s", c.pragma, w, r, c.writer, c.reader)
		}
	}
}

func TestListsAndForgetUseAnIndexAndSortNothing(t *testing.T) {
	t.Parallel()
	j, _ := open(t, filepath.Join(t.TempDir(), "journal.db"), Options{})
	after := &operation.Record{ID: "a", Created: noon, WakeAt: noon}
	forget := "delete from operations where finished < 5 and finished > " + zeroText
	for _, c := range []struct {
		f     operation.Filter
		query string
		index string
	}{
		{operation.Filter{}, "", "newest"},
		{operation.Filter{After: after}, "", "newest"},
		{operation.Filter{Address: "x", After: after}, "", "newest"},
		{operation.Filter{DueBefore: noon}, "", "due"},
		{operation.Filter{DueBefore: noon, After: after, Address: "x"}, "", "due"},
		{operation.Filter{}, forget, "finished"},
	} {
		query, args := listing(c.f)
		if c.query != "" {
			query, args = c.query, nil
		}
		rows, err := j.reads.QueryContext(t.Context(), "explain query plan "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		all := strings.Join(plan, "; ") + " "
		if !strings.Contains(all, "INDEX "+c.index+" ") || strings.Contains(all, "TEMP B-TREE") {
			t.Errorf("the plan of %s = %s; want the index %s, and no sort", query, all, c.index)
		}
	}
}

func TestAFormatThatIsNotKnownIsAnErrorAndNotAGuess(t *testing.T) {
	t.Parallel()
	j, lease := open(t, filepath.Join(t.TempDir(), "journal.db"), Options{})
	for i, damaged := range []string{"x'02'", "x''", "x'0109'", "x'01ff'", "x'010161'"} {
		id := fmt.Sprint(i)
		commit(t, j, lease, accept(&operation.Record{ID: id}))
		if _, err := j.w.conn.ExecContext(t.Context(), "update operations set error = "+damaged+" where id = ?", id); err != nil {
			t.Fatal(err)
		}
		if found, err := j.Load(t.Context(), id); err == nil {
			t.Errorf("Load with the error %s = %+v; want an error", damaged, found)
		}
	}
}

func TestTimesOutOfRangeAreNeverOrZero(t *testing.T) {
	t.Parallel()
	j, lease := open(t, filepath.Join(t.TempDir(), "journal.db"), Options{})
	far := time.Date(2318, 1, 1, 0, 0, 0, 0, time.UTC)
	early := time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC)
	commit(t, j, lease, accept(&operation.Record{ID: "a", Created: early, WakeAt: far, Deadline: operation.Never.AddDate(1, 0, 0)}))
	found, err := j.Load(t.Context(), "a")
	if err != nil || len(found) != 1 || !found[0].Created.IsZero() || found[0].WakeAt != operation.Never || found[0].Deadline != operation.Never {
		t.Errorf("Load = %+v, %v; want the zero time, and Never twice", found, err)
	}
}

func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.db")
	j, lease := open(t, file, Options{})
	confirmed := make([]int, 4)
	begun := make(chan struct{}, len(confirmed))
	var all sync.WaitGroup
	for w := range confirmed {
		all.Go(func() {
			for n := 0; ; n++ {
				_, err := j.Commit(t.Context(), lease, []operation.Change{accept(&operation.Record{ID: fmt.Sprintf("%d-%d", w, n)})})
				if err != nil {
					if !strings.Contains(err.Error(), "it is closed") {
						t.Errorf("Commit = %v; want no error, or that it is closed", err)
					}
					confirmed[w] = n
					return
				}
				if n == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range confirmed {
		<-begun
	}
	if err := j.Close(); err != nil {
		t.Errorf("Close = %v; want nil", err)
	}
	all.Wait()
	j, _ = open(t, file, Options{})
	page, err := j.List(t.Context(), operation.Filter{Limit: 1 << 30})
	want := 0
	for _, n := range confirmed {
		want += n
	}
	if err != nil || len(page) != want {
		t.Errorf("List = %d operations, %v; want the %d that were confirmed", len(page), err, want)
	}
}

func TestCloseLeavesOneFileAndItsLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, lease := open(t, filepath.Join(dir, "journal.db"), Options{})
	commit(t, j, lease, roundBatch("round", 1)...)
	if _, err := j.Load(t.Context(), "round"); err != nil {
		t.Fatalf("Load = %v; want no error", err)
	}
	if err := j.Close(); err != nil {
		t.Fatalf("Close = %v; want nil", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 || files[0].Name() != "journal.db" || files[1].Name() != "journal.db.lock" {
		t.Errorf("after Close there are %v, %v; want the file and its lock: a log that is left says that a connection is", files, err)
	}
}

func TestAnEndedContextDoesNothing(t *testing.T) {
	t.Parallel()
	j, lease := open(t, filepath.Join(t.TempDir(), "journal.db"), Options{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Commit(ended, lease, []operation.Change{accept(&operation.Record{ID: "a"})}); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit = %v; want context.Canceled", err)
	}
	if found, err := j.Load(t.Context(), "a"); err != nil || len(found) != 0 {
		t.Errorf("Load = %d operations, %v; want none", len(found), err)
	}
}
