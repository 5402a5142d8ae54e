package operation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/store/mem"
	"github.com/parley-io/parley/transport"
)

// world is a database with an engine on it, which can be stopped, killed and started anew. Its log is what the steps
// did outside.
type world struct {
	t       *testing.T
	db      *mem.Database
	codes   []operation.Code
	options operation.Options
	wrap    func(operation.Journal) operation.Journal // nil = as it is

	e    *operation.Engine
	stop func() error

	mu       sync.Mutex
	log      []string
	recorded []ledger.Transition
}

const address = "loans.v1.decide"

type code = func(ctx context.Context, r *operation.Run) ([]byte, error)

func newWorld(t *testing.T, f code) *world {
	w := &world{t: t, db: mem.New(), options: operation.Options{Worker: "loans", Service: "loans"}}
	w.options.Recorder = w
	w.codes = []operation.Code{{Address: address, Version: 1, Run: runs(f)}}
	return w
}

func runs(f code) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, _ []byte) ([]byte, error) {
		r, ok := operation.RunFrom(ctx)
		if !ok {
			return nil, errors.New("the context of the code has no run")
		}
		return f(ctx, r)
	}
}

// Record takes transitions of the ledger.
func (w *world) Record(t ledger.Transition, confirmed func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, t)
	if confirmed != nil {
		confirmed()
	}
}

// start runs an engine on the database until stop.
func (w *world) start() {
	w.t.Helper()
	e, err := operation.New(w.codes, w.options)
	if err != nil {
		w.t.Fatalf("New = %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, over := make(chan struct{}), make(chan error, 1)
	go func() {
		over <- e.Run(ctx, func(ctx context.Context) (operation.Journal, error) {
			j, err := w.db.Open(ctx)
			if err == nil && w.wrap != nil {
				j = w.wrap(j)
			}
			return j, err
		}, func(operation.Lease) { close(ready) })
	}()
	<-ready
	w.e = e
	w.stop = sync.OnceValue(func() error { cancel(); return <-over })
}

// restart stops the engine in order and starts another one.
func (w *world) restart() {
	w.t.Helper()
	if err := w.stop(); err != nil {
		w.t.Fatalf("stop = %v", err)
	}
	w.start()
}

func (w *world) accept(id string) operation.Snapshot {
	w.t.Helper()
	s, existed, err := w.e.Accept(w.t.Context(), operation.Request{ID: id, Address: address, Input: []byte("in"), Key: "k"})
	if err != nil || existed {
		w.t.Fatalf("Accept(%s) = existed %v, %v; want a new one", id, existed, err)
	}
	return s
}

// done waits for the end of an operation.
func (w *world) done(id string) operation.Snapshot {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 400*24*time.Hour)
	defer cancel()
	s, err := w.e.Wait(ctx, address, id, -1)
	if err != nil || !s.Status.Done() {
		w.t.Fatalf("Wait(%s) = %s (parked: %q, error: %v), %v; want it done", id, s.Status, s.Parked, s.Error, err)
	}
	return s
}

func (w *world) get(id string) operation.Snapshot {
	w.t.Helper()
	s, err := w.e.Get(w.t.Context(), address, id)
	if err != nil {
		w.t.Fatalf("Get(%s) = %v", id, err)
	}
	return s
}

func (w *world) logf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// forget empties the log.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = nil
}

// did is the log, joined by spaces.
func (w *world) did() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, " ")
}

// task is a step that logs its name and has it as its result, unless do says otherwise.
func (w *world) task(name string, do ...func(context.Context) error) operation.Task {
	return operation.Task{Name: name, Kind: operation.KindStep, Do: func(ctx context.Context) ([]byte, error) {
		w.logf("%s", name)
		for _, f := range do {
			if err := f(ctx); err != nil {
				return nil, err
			}
		}
		return []byte(name), nil
	}}
}

// undo declares one that logs its name.
func (w *world) undo(ctx context.Context, r *operation.Run, name string) {
	r.Undo(ctx, name, func(context.Context) error { w.logf("-%s", name); return nil })
}

// bubble runs f on a world in virtual time, with an engine that runs, plainly and in strict mode.
func bubble(t *testing.T, prepare func(*world), f func(*world)) {
	t.Helper()
	for _, strict := range []bool{false, true} {
		name := "plain"
		if strict {
			name = "strict"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.options.Strict = strict
				prepare(w)
				w.start()
				defer func() {
					if err := w.stop(); err != nil {
						t.Errorf("stop = %v", err)
					}
				}()
				f(w)
			})
		})
	}
}

// runsCode prepares a world whose operations have this code.
func runsCode(f func(*world) code) func(*world) {
	return func(w *world) { w.codes[0].Run = runs(f(w)) }
}

func failure(message string) error {
	return &transport.Error{Code: transport.FailedPrecondition, Message: message}
}

func unavailable() error {
	return &transport.Error{Code: transport.Unavailable, Message: "not now"}
}
