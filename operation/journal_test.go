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

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// faulty is a journal whose commits fail as before says: the error, and whether the batch is written all the same.
type faulty struct {
	operation.Journal
	mu      sync.Mutex
	commits int
	before  func(commit int, batch []operation.Change) (err error, written bool)
}

func (f *faulty) Commit(ctx context.Context, l operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	f.mu.Lock()
	f.commits++
	n := f.commits
	f.mu.Unlock()
	if f.before != nil {
		if err, written := f.before(n, batch); err != nil {
			if written {
				if _, err := f.Journal.Commit(ctx, l, batch); err != nil {
					return nil, err
				}
			}
			return nil, err
		}
	}
	return f.Journal.Commit(ctx, l, batch)
}

// count is how many commits there were.
func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits
}

func counted(w *world, before func(int, []operation.Change) (error, bool)) *faulty {
	f := &faulty{before: before}
	w.wrap = func(j operation.Journal) operation.Journal { f.Journal = j; return f }
	return f
}

// three is an operation of three steps.
func three(w *world) code {
	return func(ctx context.Context, r *operation.Run) ([]byte, error) {
		for _, name := range []string{"a", "b", "c"} {
			if _, err := r.Step(ctx, w.task(name)); err != nil {
				return nil, err
			}
		}
		return []byte("out"), nil
	}
}

func TestThreeStepsCostFourCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(three)(w)
		f := counted(w, nil)
		w.start()
		defer w.stop()
		synctest.Wait()
		before := f.count()
		w.accept("1")
		w.done("1")
		if n := f.count() - before; n != 4 {
			t.Errorf("an operation of three steps cost %d commits; want 4", n)
		}
	})
}

func TestOutagesOfTheJournalNeverReachTheCode(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written %v", written), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				runsCode(three)(w)
				counted(w, func(n int, _ []operation.Change) (error, bool) {
					if n%3 != 0 {
						return errors.New("the disk is full"), written
					}
					return nil, false
				})
				w.start()
				defer w.stop()
				s, existed, err := w.e.Accept(t.Context(), operation.Request{ID: "1", Address: address})
				for err != nil && transport.CodeOf(err) == transport.Unavailable { // the hourly forgetting may be what fails
					time.Sleep(time.Second)
					s, existed, err = w.e.Accept(t.Context(), operation.Request{ID: "1", Address: address})
				}
				if err != nil || existed {
					t.Errorf("Accept = %s, existed %v, %v; want a new one", s.Status, existed, err)
				}
				if s := w.done("1"); s.Status != operation.Succeeded || w.did() != "a b c" {
					t.Errorf("done = %s %v, it did %q; want Succeeded, each step once", s.Status, s.Error, w.did())
				}
			})
		})
	}
}

func TestAFullJournalIsSaidToCallersAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(func(w *world) code {
			return func(ctx context.Context, r *operation.Run) ([]byte, error) {
				return r.Step(ctx, w.task("a", func(context.Context) error { time.Sleep(time.Minute); return nil }))
			}
		})(w)
		var mu sync.Mutex
		full := false
		counted(w, func(int, []operation.Change) (error, bool) {
			mu.Lock()
			defer mu.Unlock()
			if full {
				return errors.New("the disk is full"), false
			}
			return nil, false
		})
		set := func(on bool) { mu.Lock(); full = on; mu.Unlock() }
		w.start()
		defer w.stop()
		w.accept("1")
		if err := w.e.Healthy(); err != nil {
			t.Errorf("Healthy = %v; want nil", err)
		}
		set(true)
		began := time.Now()
		_, _, err := w.e.Accept(t.Context(), operation.Request{ID: "2", Address: address})
		e, _ := errors.AsType[*transport.Error](err)
		if e == nil || e.Code != transport.Unavailable || e.NotSent || !strings.Contains(err.Error(), "the disk is full") || time.Since(began) > 3*time.Second {
			t.Errorf("Accept in an outage = %v after %v; want Unavailable with an unknown outcome within 3s", err, time.Since(began))
		}
		_, err = w.e.Cancel(t.Context(), address, "1", "x")
		if e, _ = errors.AsType[*transport.Error](err); e == nil || e.Code != transport.Unavailable || !e.NotSent || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("Cancel in a known outage = %v; want Unavailable, not sent", err)
		}
		if err := w.e.Healthy(); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("Healthy = %v; want that the disk is full", err)
		}
		time.Sleep(10 * time.Minute)
		set(false)
		if s := w.done("1"); s.Status != operation.Succeeded {
			t.Errorf("done = %s; want Succeeded after the outage", s.Status)
		}
		if s := w.done("2"); s.Status != operation.Succeeded {
			t.Errorf("what was accepted in the outage = %s; want Succeeded", s.Status)
		}
	})
}

func TestAFencedEngineDoesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(func(w *world) code {
			return func(ctx context.Context, r *operation.Run) ([]byte, error) {
				w.undo(ctx, r, "a")
				_, err := r.Step(ctx, w.task("a", func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						w.logf("ended: %v", context.Cause(ctx))
					case <-time.After(time.Minute):
					}
					return failure("no")
				}))
				w.logf("went on")
				return nil, err
			}
		})(w)
		w.start()
		w.accept("1")
		zombie, stop := w.e, w.stop
		time.Sleep(time.Second)
		w.start() // another process takes over
		time.Sleep(time.Second)
		_, _, err := zombie.Accept(t.Context(), operation.Request{ID: "2", Address: address})
		if transport.CodeOf(err) != transport.Unavailable {
			t.Errorf("Accept of a fenced engine = %v; want Unavailable", err)
		}
		if err := stop(); !errors.Is(err, operation.ErrFenced) {
			t.Errorf("Run of the fenced engine = %v; want ErrFenced", err)
		}
		if w.did() != "a a ended: "+operation.ErrFenced.Error() {
			t.Errorf("it did %q; want that the first one's step ended, without code or undo after it", w.did())
		}
		if s := w.done("1"); s.Status != operation.Failed || !strings.HasSuffix(w.did(), "went on -a") {
			t.Errorf("done = %s, it did %q; want Failed and undone by the second", s.Status, w.did())
		}
		if err := w.stop(); err != nil {
			t.Errorf("stop = %v", err)
		}
	})
}

// story is an operation with a bit of everything; fails says how it ends.
func story(fails bool) func(*world) code {
	return func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			a, b := r.Go(ctx, w.task("credit")), r.Go(ctx, w.task("fraud"))
			w.undo(ctx, r, "reserve")
			if _, err := r.Step(ctx, w.task("reserve")); err != nil {
				return nil, err
			}
			for _, f := range []*operation.Future{a, b} {
				if _, err := f.Get(ctx); err != nil {
					return nil, err
				}
			}
			r.Sleep(ctx, 3*time.Second)
			tries := operation.Task{Name: "flaky", Numbered: true, Kind: operation.KindCall, Do: func(ctx context.Context) ([]byte, error) {
				if s, _ := operation.StepFrom(ctx); s.Attempt < 6 {
					return nil, unavailable()
				}
				w.logf("flaky")
				return nil, nil
			}}
			if _, err := r.Step(ctx, tries); err != nil {
				return nil, err
			}
			w.undo(ctx, r, "pay")
			if _, err := r.Step(ctx, w.task("pay")); err != nil {
				return nil, err
			}
			if _, err := r.Await(ctx, "signed", 0); err != nil {
				return nil, err
			}
			if fails {
				return nil, failure("changed their mind")
			}
			return []byte("paid"), nil
		}
	}
}

// TestAKillAtEveryCommitLosesNothing kills the process at the n-th commit, written or not, for all n, and lets another
// one go on.
func TestAKillAtEveryCommitLosesNothing(t *testing.T) {
	for _, fails := range []bool{false, true} {
		for _, written := range []bool{false, true} {
			for n := 1; ; n++ {
				killed := false
				t.Run(fmt.Sprintf("fails %v, written %v, commit %d", fails, written, n), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { killed = killAt(t, fails, written, n) })
				})
				if !killed || t.Failed() {
					if n < 7 { // fewer than 6 commits: how many results share one depends on the scheduler
						t.Errorf("only %d commits; want more, or nothing was shown", n)
					}
					break
				}
			}
		}
	}
}

func killAt(t *testing.T, fails, written bool, kill int) (killed bool) {
	w := newWorld(t, nil)
	runsCode(story(fails))(w)
	dead := make(chan struct{})
	journaled := map[string]bool{}
	f := counted(w, nil)
	f.before = func(n int, batch []operation.Change) (error, bool) {
		select {
		case <-dead:
			return operation.ErrFenced, false // so that the goroutines of the dead end
		default:
		}
		if n == kill {
			close(dead)
			return operation.ErrFenced, written
		}
		return nil, false
	}
	w.start()
	signal := func() error {
		_, err := w.e.Signal(t.Context(), address, "1", operation.Signal{ID: "s", Name: "signed"})
		return err
	}
	accept := func() error {
		_, _, err := w.e.Accept(t.Context(), operation.Request{ID: "1", Address: address})
		return err
	}
	told := make(chan error, 1)
	go func() {
		err := accept()
		if err == nil {
			err = signal()
		}
		told <- err
	}()
	synctest.Wait()
	time.Sleep(10 * time.Minute)
	select {
	case <-dead:
		killed = true
	default:
	}
	err := <-told
	_ = w.stop()
	if !killed && err != nil {
		t.Fatalf("accept and signal = %v", err)
	}
	w.forgetUnlessJournaled(journaled)
	w.wrap = nil
	w.start()
	defer w.stop()
	if err := accept(); err != nil {
		t.Fatalf("accept again = %v", err)
	}
	if err := signal(); err != nil && transport.CodeOf(err) != transport.FailedPrecondition {
		t.Fatalf("signal again = %v", err)
	}
	s := w.done("1")
	want := operation.Succeeded
	if fails {
		want = operation.Failed
	}
	if s.Status != want {
		t.Errorf("done = %s %v; want %s", s.Status, s.Error, want)
	}
	for name := range journaled {
		if n := strings.Count(" "+w.did()+" ", " "+name+" "); n > 0 {
			t.Errorf("%s was in the journal before the kill and ran again: %q", name, w.did())
		}
	}
	for _, name := range []string{"credit", "fraud", "reserve", "flaky", "pay"} {
		if !journaled[name] && !strings.Contains(w.did(), name) {
			t.Errorf("%s was not in the journal and did not run: %q", name, w.did())
		}
	}
	switch all, undos := "-pay -reserve", lastUndos(w.did()); {
	case !fails && undos != "":
		t.Errorf("it undid %q; want nothing undone", undos)
	case fails && (strings.Join(s.Undo, " ") != "reserve pay" || !strings.HasSuffix(all, undos)):
		t.Errorf("undone %q, after the kill %q; want both, in reverse, those that were not in the journal", s.Undo, undos)
	}
	return killed
}

// forgetUnlessJournaled notes which steps are durable, and empties the log.
func (w *world) forgetUnlessJournaled(into map[string]bool) {
	w.t.Helper()
	j, err := w.db.Open(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := j.Load(w.t.Context(), "1")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range found {
		for _, e := range s.Entries {
			if e.Final() {
				name, _, _ := strings.Cut(e.Key, "#")
				into[strings.Replace(name, "undo:", "-", 1)] = true
			}
		}
	}
	w.forget()
}

// lastUndos are the undos in a log, in order.
func lastUndos(log string) string {
	var undos []string
	for _, word := range strings.Fields(log) {
		if strings.HasPrefix(word, "-") {
			undos = append(undos, word)
		}
	}
	return strings.Join(undos, " ")
}
