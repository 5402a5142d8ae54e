package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite" of database/sql

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/store/sqlite"
)

// inserter makes what an operation is compared with: rows in a bare table, each in a transaction of its own that is on
// disk when it returns. The file has the pragmas of store/sqlite.
type inserter struct {
	db     *sql.DB
	insert *sql.Stmt
	body   []byte
}

func startInserter(ctx context.Context, s setup) (actor, string, error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, "", err
	}
	q := url.Values{"_pragma": {
		"page_size(2048)", // of a new file, before anything else
		"journal_mode(wal)", "synchronous(full)", "cache_size(-2048)", "busy_timeout(5000)", "journal_size_limit(67108864)", "wal_autocheckpoint(2000)",
	}}
	file := url.URL{Scheme: "file", Path: filepath.Join(s.Dir, "bare.db"), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, "", err
	}
	db.SetMaxOpenConns(1)
	i := &inserter{db: db, body: make([]byte, inputBytes)}
	if err := i.prepare(ctx); err != nil {
		return nil, "", errors.Join(err, db.Close())
	}
	return i, "", nil
}

func (i *inserter) prepare(ctx context.Context) error {
	var mode, synced string
	if err := i.db.QueryRowContext(ctx, "select journal_mode, synchronous from pragma_journal_mode, pragma_synchronous").Scan(&mode, &synced); err != nil {
		return err
	}
	if mode != "wal" || synced != "2" {
		return fmt.Errorf("the bare file has journal_mode=%s and synchronous=%s; want wal and 2 (full)", mode, synced)
	}
	if _, err := i.db.ExecContext(ctx, "create table t(id integer primary key, body blob) strict"); err != nil {
		return err
	}
	var err error
	i.insert, err = i.db.PrepareContext(ctx, "insert into t(body) values (?)")
	return err
}

func (i *inserter) do(ctx context.Context, o order) (figures, error) {
	return hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		_, err := i.insert.ExecContext(ctx, i.body)
		return err
	})
}

func (i *inserter) close(context.Context) error { return errors.Join(i.insert.Close(), i.db.Close()) }

// counted is a journal that counts what is committed to it.
type counted struct {
	operation.Journal
	to *commits
}

func (c counted) Commit(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	began := time.Now()
	outcomes, err := c.Journal.Commit(ctx, lease, batch)
	c.to.add(time.Since(began), len(batch))
	return outcomes, err
}

// commits are those to a journal. Safe for concurrent use.
type commits struct {
	mu      sync.Mutex
	took    []time.Duration
	changes int
}

func (c *commits) add(took time.Duration, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	c.changes += changes
}

// take answers what there was since the last take.
func (c *commits) take() (took []time.Duration, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	took, changes = c.took, c.changes
	c.took, c.changes = nil, 0
	return took, changes
}

// engine is package operation on a file of SQLite, without anything of the root package.
type engine struct {
	*operation.Engine
	ids     atomic.Int64
	commits commits
	stop    context.CancelFunc
	done    chan error // what Run returned
}

// runEngine runs the code of one operation, engineAddress, until close.
func runEngine(ctx context.Context, dir string, run func(context.Context, []byte) ([]byte, error)) (*engine, error) {
	made, err := operation.New([]operation.Code{{Address: engineAddress, Version: 1, Run: run}}, operation.Options{Worker: "bench"})
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(ctx)
	e := &engine{Engine: made, stop: stop, done: make(chan error, 1)}
	ready := make(chan struct{})
	open := func(ctx context.Context) (operation.Journal, error) {
		j, err := sqlite.Open(ctx, filepath.Join(dir, "journal.db"), sqlite.Options{})
		return counted{j, &e.commits}, err
	}
	go func() { e.done <- made.Run(life, open, func(operation.Lease) { close(ready) }) }()
	select {
	case <-ready:
		return e, nil
	case err := <-e.done:
		stop()
		return nil, fmt.Errorf("the engine ended while it began: %w", err)
	}
}

const (
	engineAddress = "bench.v1.three"
	inputBytes    = 200 // of an operation, and of a row of the bare table
	resultBytes   = 100 // of each step, and of the operation
)

// accept stores a new operation and answers its id.
func (e *engine) accept(ctx context.Context) (string, error) {
	id := fmt.Sprintf("0199a3c1-7e55-7%027d", e.ids.Add(1)) // as long as Parley's own, and as well sorted
	_, _, err := e.Accept(ctx, operation.Request{
		ID: id, Address: engineAddress, Input: make([]byte, inputBytes), Source: "bench", Correlation: id, Causation: id,
	})
	return id, err
}

// ended waits until an operation has Succeeded.
func (e *engine) ended(ctx context.Context, id string) error {
	s, err := e.Wait(ctx, engineAddress, id, -1)
	if err == nil && s.Status != operation.Succeeded {
		err = fmt.Errorf("operation %s is %s (%s, %v), want it to succeed", id, s.Status, s.Parked, s.Error)
	}
	return err
}

func (e *engine) close(context.Context) error {
	e.stop()
	return <-e.done
}

// threeSteps is the code of an operation whose steps do nothing.
func threeSteps(ctx context.Context, _ []byte) ([]byte, error) {
	run, ok := operation.RunFrom(ctx)
	if !ok {
		return nil, errors.New("not the context of an operation")
	}
	result := make([]byte, resultBytes)
	for _, name := range []string{"reserve", "charge", "tell"} {
		task := operation.Task{Name: name, Do: func(context.Context) ([]byte, error) { return result, nil }}
		if _, err := run.Step(ctx, task); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// stepper starts operations of three steps and waits for each.
type stepper struct{ *engine }

func startStepper(ctx context.Context, s setup) (actor, string, error) {
	e, err := runEngine(ctx, s.Dir, threeSteps)
	if err != nil {
		return nil, "", err
	}
	return stepper{e}, "", nil
}

func (s stepper) do(ctx context.Context, o order) (figures, error) {
	s.commits.take()
	found, err := hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		id, err := s.accept(ctx)
		if err != nil {
			return err
		}
		return s.ended(ctx, id)
	})
	took, changes := s.commits.take()
	found.Commits, found.Changes = len(took), changes
	for _, t := range took {
		found.InCommit += t
	}
	found.CommitP50, _ = percentiles(took)
	return found, err
}
