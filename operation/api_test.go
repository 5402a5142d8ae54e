package operation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// waiting is an operation that waits for a signal and answers its body.
func waiting(*world) code {
	return func(ctx context.Context, r *operation.Run) ([]byte, error) { return r.Await(ctx, "go", 0) }
}

func TestTheSameRequestIsTheSameOperation(t *testing.T) {
	bubble(t, runsCode(waiting), func(w *world) {
		w.accept("1")
		synctest.Wait()
		ctx := w.t.Context()
		s, existed, err := w.e.Accept(ctx, operation.Request{ID: "1", Address: address, Input: []byte("in")})
		if err != nil || !existed || s.Status != operation.Running {
			w.t.Errorf("Accept again = %s, existed %v, %v; want the one that runs", s.Status, existed, err)
		}
		_, _, err = w.e.Accept(ctx, operation.Request{ID: "1", Address: address, Input: []byte("other")})
		if e, _ := errors.AsType[*transport.Error](err); e == nil || e.Code != transport.AlreadyExists || e.Name != operation.KeyReused {
			w.t.Errorf("Accept of another input = %v; want KeyReused", err)
		}
		if _, _, err := w.e.Accept(ctx, operation.Request{ID: "2", Address: "nobody.v1.has"}); transport.CodeOf(err) != transport.Unimplemented {
			w.t.Errorf("Accept of an unknown address = %v; want Unimplemented", err)
		}
		if _, _, err := w.e.Accept(ctx, operation.Request{Address: address}); transport.CodeOf(err) != transport.InvalidArgument {
			w.t.Errorf("Accept without ID = %v; want InvalidArgument", err)
		}
		if _, err := w.e.Get(ctx, address, "9"); transport.CodeOf(err) != transport.NotFound {
			w.t.Errorf("Get of an unknown one = %v; want NotFound", err)
		}
		if _, err := w.e.Get(ctx, "other", "1"); transport.CodeOf(err) != transport.NotFound {
			w.t.Errorf("Get with another address = %v; want NotFound", err)
		}
		if _, err := w.e.Retry(ctx, address, "1"); transport.CodeOf(err) != transport.FailedPrecondition {
			w.t.Errorf("Retry of one that is not parked = %v; want FailedPrecondition", err)
		}
	})
}

func TestWhatDoesNotFitIsAcceptedAsFailed(t *testing.T) {
	bubble(t, runsCode(waiting), func(w *world) {
		s, _, err := w.e.Accept(w.t.Context(), operation.Request{ID: "1", Address: address, Invalid: &transport.Error{Code: transport.InvalidArgument, Message: "no amount"}})
		if err != nil || s.Status != operation.Failed {
			w.t.Fatalf("Accept = %s, %v; want Failed", s.Status, err)
		}
		if s := w.done("1"); s.Error == nil || s.Error.Message != "no amount" || s.Finished.IsZero() {
			w.t.Errorf("done = %+v; want no amount", s.Error)
		}
	})
}

func TestAThousandAcceptsOfOneIDRunItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(three)(w)
		w.start()
		defer w.stop()
		var wg sync.WaitGroup
		fresh := make(chan bool, 1000)
		for range 1000 {
			wg.Go(func() {
				_, existed, err := w.e.Accept(t.Context(), operation.Request{ID: "1", Address: address})
				if err != nil {
					t.Errorf("Accept = %v", err)
				}
				fresh <- !existed
			})
		}
		wg.Wait()
		close(fresh)
		n := 0
		for f := range fresh {
			if f {
				n++
			}
		}
		w.done("1")
		if n != 1 || w.did() != "a b c" {
			t.Errorf("%d accepts were the first, it did %q; want 1, each step once", n, w.did())
		}
	})
}

func TestWaitAnswersAChangeTheEndOrThatTimeIsOver(t *testing.T) {
	bubble(t, runsCode(waiting), func(w *world) {
		w.accept("1")
		time.Sleep(time.Minute)
		s := w.get("1")
		changed := make(chan operation.Snapshot)
		go func() {
			s, err := w.e.Wait(w.t.Context(), address, "1", s.Revision)
			if err != nil {
				w.t.Errorf("Wait = %v", err)
			}
			changed <- s
		}()
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		if s, err := w.e.Wait(ctx, address, "1", -1); err != nil || s.Status != operation.Running {
			w.t.Errorf("Wait until its time is over = %s, %v; want Running and no error", s.Status, err)
		}
		select {
		case s := <-changed:
			w.t.Errorf("Wait answered revision %d without a change", s.Revision)
		default:
		}
		if _, err := w.e.Signal(w.t.Context(), address, "1", operation.Signal{ID: "s", Name: "go"}); err != nil {
			w.t.Fatal(err)
		}
		if now := <-changed; now.Revision <= s.Revision {
			w.t.Errorf("Wait for a change = revision %d; want more than %d", now.Revision, s.Revision)
		}
		w.done("1")
		if _, err := w.e.Wait(w.t.Context(), address, "9", -1); transport.CodeOf(err) != transport.NotFound {
			w.t.Errorf("Wait for an unknown one = %v; want NotFound", err)
		}
	})
}

func TestStoppingLetsStepsEndAndKeepsTheOperationOpen(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		want  string // what is done by the first process and the second
		until time.Duration
	}{
		"in time":  {10 * time.Second, "slow done | next", 10 * time.Second},
		"too late": {time.Hour, "slow cut off | slow", 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				runsCode(func(w *world) code {
					return func(ctx context.Context, r *operation.Run) ([]byte, error) {
						w.undo(ctx, r, "slow")
						if _, err := r.Step(ctx, w.task("slow", func(ctx context.Context) error {
							select {
							case <-ctx.Done():
								w.logf("cut off")
								return ctx.Err()
							case <-time.After(c.takes):
								w.logf("done")
								return nil
							}
						})); err != nil {
							return nil, err
						}
						return r.Step(ctx, w.task("next"))
					}
				})(w)
				w.start()
				w.accept("1")
				waited := make(chan error)
				go func() {
					_, err := w.e.Wait(t.Context(), address, "1", -1)
					waited <- err
				}()
				synctest.Wait()
				began := time.Now()
				stopped := make(chan error)
				go func() { stopped <- w.stop() }()
				if err := <-waited; transport.CodeOf(err) != transport.Unavailable {
					t.Errorf("Wait when the engine stops = %v; want Unavailable", err)
				}
				if _, _, err := w.e.Accept(t.Context(), operation.Request{ID: "2", Address: address}); transport.CodeOf(err) != transport.Unavailable {
					t.Errorf("Accept when the engine stops = %v; want Unavailable", err)
				}
				if err := <-stopped; err != nil || time.Since(began) != c.until {
					t.Errorf("Run returned %v after %v; want nil after %v", err, time.Since(began), c.until)
				}
				w.logf("|")
				w.start()
				synctest.Wait()
				if w.did() != c.want {
					t.Errorf("it did %q; want %q", w.did(), c.want)
				}
				if s := w.get("1"); s.Status.Done() != (name == "in time") {
					t.Errorf("it is %s", s.Status)
				}
				w.stop()
			})
		})
	}
}

func TestNoMoreRunAtOnceThanMayAndAllComeTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.options.Concurrency = 3
		var mu sync.Mutex
		now, most := 0, 0
		runsCode(func(w *world) code {
			return func(ctx context.Context, r *operation.Run) ([]byte, error) {
				return r.Step(ctx, w.task("s", func(context.Context) error {
					mu.Lock()
					now++
					most = max(most, now)
					mu.Unlock()
					time.Sleep(time.Minute)
					mu.Lock()
					now--
					mu.Unlock()
					return nil
				}))
			}
		})(w)
		w.start()
		defer w.stop()
		began := time.Now()
		for i := range 20 {
			w.accept(fmt.Sprint(i))
		}
		if _, err := w.e.Cancel(t.Context(), address, "19", "not wanted"); err != nil {
			t.Fatal(err)
		}
		for i := range 19 {
			w.done(fmt.Sprint(i))
		}
		if s := w.done("19"); s.Status != operation.Canceled {
			t.Errorf("the one that was canceled before its turn = %s; want Canceled", s.Status)
		}
		if took := time.Since(began); most != 3 || took > 8*time.Minute {
			t.Errorf("%d ran at once, all in %v; want 3, and no room left empty", most, took)
		}
	})
}

func TestWhatIsOldIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(three)(w)
		w.options.Retain = 24 * time.Hour
		w.start()
		defer w.stop()
		w.accept("1")
		w.done("1")
		time.Sleep(23 * time.Hour)
		w.get("1")
		time.Sleep(2*time.Hour + time.Minute)
		if _, err := w.e.Get(t.Context(), address, "1"); transport.CodeOf(err) != transport.NotFound {
			t.Errorf("Get after the retention = %v; want NotFound", err)
		}
	})
}

// goroutines counts those of the caller's own synctest bubble once they rest: the runtime's and those of other tests come
// and go.
func goroutines(t *testing.T) int {
	synctest.Wait()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	bubble := regexp.MustCompile(`synctest bubble \d+`).Find(stacks) // the first is the caller
	if bubble == nil {
		t.Fatal("goroutines was asked outside of a bubble")
	}
	return bytes.Count(stacks, append(bubble, ']'))
}

func TestHundredsOfWaitingOperationsCostNoGoroutinesAndWakeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(waiting)(w)
		w.options.Recorder = nil
		w.start()
		defer w.stop()
		before := goroutines(t)
		const n = 600
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				for j := range n / 100 {
					w.accept(fmt.Sprint(i*n/100 + j))
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Hour)
		if now := goroutines(t); now > before {
			t.Errorf("goroutines = %d, %d before; want no more", now, before)
		}
		for i := range 100 {
			wg.Go(func() {
				for j := range n / 100 {
					id := fmt.Sprint(i*n/100 + j)
					if _, err := w.e.Signal(t.Context(), address, id, operation.Signal{ID: "s" + id, Name: "go", Body: []byte(id)}); err != nil {
						t.Errorf("Signal = %v", err)
					}
					if s := w.done(id); string(s.Output) != id {
						t.Errorf("done = %s %q; want its own signal", s.Status, s.Output)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestAStepHasNoSteps(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			for i, misuse := range []func(context.Context){
				func(ctx context.Context) { _, _ = r.Step(ctx, w.task("x")) },
				func(ctx context.Context) { r.Undo(ctx, "x", nil) },
				func(ctx context.Context) { r.Go(ctx, w.task("x")) },
			} {
				name := fmt.Sprint("misuse", i)
				_, err := r.Step(ctx, operation.Task{Name: name, Do: func(ctx context.Context) ([]byte, error) {
					if _, ok := operation.RunFrom(ctx); ok {
						w.t.Errorf("the context of a step has a run")
					}
					misuse(ctx)
					return nil, nil
				}})
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("inside of the step %q", name)) {
					return nil, fmt.Errorf("%s inside of a step = %w; want a panic that says so", name, err)
				}
			}
			return nil, nil
		}
	}), func(w *world) {
		w.accept("1")
		if s := w.done("1"); s.Status != operation.Succeeded {
			w.t.Errorf("it is %s %v; want Succeeded", s.Status, s.Error)
		}
	})
}

func TestIDsOfStepsAndWhatTheyDoAreTheSameAtEveryAttempt(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			return r.Step(ctx, operation.Task{Name: "s", Attempts: 2, Do: func(ctx context.Context) ([]byte, error) {
				s, _ := operation.StepFrom(ctx)
				w.logf("%s,%s,%s,%s", s.ID, s.NextID("x"), s.NextID("x"), s.NextID("y"))
				if s.Attempt == 1 {
					return nil, unavailable()
				}
				return nil, nil
			}})
		}
	}), func(w *world) {
		w.accept("1")
		w.done("1")
		first, second, _ := strings.Cut(w.did(), " ")
		ids := strings.Split(first, ",")
		seen := map[string]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		if first != second || len(seen) != 4 || ids[0] != operation.StepID("1", "s") || ids[1] != operation.StepID("1", "s/x#1") {
			w.t.Errorf("the attempts had %q and %q; want four IDs, twice the same", first, second)
		}
		if len(ids[0]) != 36 || ids[0][14] != '8' || !strings.ContainsAny(ids[0][19:20], "89ab") {
			w.t.Errorf("StepID = %s; want a UUID of version 8", ids[0])
		}
	})
}

func TestNewSaysEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	ok := operation.Code{Address: "a", Version: 1, Run: runs(nil)}
	_, err := operation.New([]operation.Code{ok, ok, {Version: 0}}, operation.Options{Drain: -1})
	for _, want := range []string{"Worker is empty", "Drain -1ns", "version 1 is there twice", `code of "", version 0`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v; want also %q", err, want)
		}
	}
	e, err := operation.New([]operation.Code{ok}, operation.Options{Worker: "w"})
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	if err := e.Healthy(); err == nil {
		t.Error("Healthy before Run = nil; want that it does not run")
	}
	broken := errors.New("no such directory")
	if err := e.Run(t.Context(), func(context.Context) (operation.Journal, error) { return nil, broken }, nil); !errors.Is(err, broken) {
		t.Errorf("Run = %v; want that the journal can't be opened", err)
	}
}
