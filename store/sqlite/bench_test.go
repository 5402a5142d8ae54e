package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-io/parley/operation"
)

// BenchmarkCommit commits batches of the changes that operations of three steps make, and beside each one inserts a row
// into a bare table on the same disk, synced alike. x-insert is what a batch costs in such inserts.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("changes=%d", size), func(b *testing.B) {
			dir := b.TempDir()
			j, lease := open(b, filepath.Join(dir, "journal.db"), Options{})
			bare, err := sql.Open("sqlite", address(filepath.Join(dir, "bare.db"), "journal_mode(wal)", "synchronous(full)"))
			if err != nil {
				b.Fatal(err)
			}
			defer bare.Close()
			bare.SetMaxOpenConns(1)
			if _, err := bare.Exec("create table t(id integer primary key, body blob)"); err != nil {
				b.Fatal(err)
			}
			insert, err := bare.Prepare("insert into t(body) values (?)")
			if err != nil {
				b.Fatal(err)
			}
			defer insert.Close()
			body, n := make([]byte, 100), 0
			var inserts, commits time.Duration
			for b.Loop() {
				began := time.Now()
				if _, err := insert.Exec(body); err != nil {
					b.Fatal(err)
				}
				inserts += time.Since(began)
				batch := make([]operation.Change, size)
				for i := range batch {
					batch[i] = lifeOf(fmt.Sprintf("%02d-%s-%d", i, "9f86d081-884c-7d65-9a2f", n/5), n%5)
				}
				n++
				began = time.Now()
				if _, err := j.Commit(b.Context(), lease, batch); err != nil {
					b.Fatal(err)
				}
				commits += time.Since(began)
			}
			b.ReportMetric(float64(commits)/float64(b.N), "commit-ns")
			b.ReportMetric(float64(inserts)/float64(b.N), "insert-ns")
			b.ReportMetric(float64(commits)/float64(inserts), "x-insert")
			b.ReportMetric(float64(commits)/float64(inserts)/float64(size), "x-insert/change")
		})
	}
}

// lifeOf is the n-th of the five changes of an operation with three steps.
func lifeOf(id string, n int) operation.Change {
	r := &operation.Record{
		ID: id, Address: "loans.v1.decide", Version: 1, Status: operation.Running, Input: make([]byte, 200),
		Source: "bank", Correlation: id, Causation: id, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Created: noon.Add(time.Duration(n)), Updated: noon, Revision: int64(n),
	}
	switch n {
	case 0:
		return operation.Change{Op: id, Accept: r}
	case 4:
		r.Status, r.Output, r.Finished = operation.Succeeded, make([]byte, 100), noon
		return operation.Change{Op: id, Update: r}
	}
	key := fmt.Sprintf("step-%d", n)
	return operation.Change{Op: id, Entry: &operation.Entry{
		Seq: n, Key: key, Kind: operation.KindStep, Attempt: 1, Output: make([]byte, 100), Begun: noon, Ended: noon,
	}}
}

// BenchmarkLoad loads an operation of three steps.
func BenchmarkLoad(b *testing.B) {
	j, lease := open(b, filepath.Join(b.TempDir(), "journal.db"), Options{})
	for n := range 5 {
		commit(b, j, lease, lifeOf("a", n))
	}
	for b.Loop() {
		if found, err := j.Load(b.Context(), "a"); err != nil || len(found) != 1 {
			b.Fatalf("Load = %d operations, %v; want 1", len(found), err)
		}
	}
}
