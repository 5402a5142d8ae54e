package operation_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// booking declares an undo before each of three steps, and fails at the end.
func booking(end func(context.Context) error) func(*world) code {
	return func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			for _, name := range []string{"a", "b", "c"} {
				w.undo(ctx, r, name)
				var do []func(context.Context) error
				if name == "c" {
					do = append(do, end)
				}
				if _, err := r.Step(ctx, w.task(name, do...)); err != nil {
					return nil, err
				}
			}
			w.undo(ctx, r, "never")
			return nil, nil
		}
	}
}

func TestABusinessFailureUndoesInReverseAlsoWhatFailed(t *testing.T) {
	bubble(t, runsCode(booking(func(context.Context) error { return failure("no money") })), func(w *world) {
		w.accept("1")
		s := w.done("1")
		if s.Status != operation.Failed || s.Error.Message != "no money" || strings.Join(s.Undo, " ") != "a b c" {
			w.t.Errorf("done = %s %v, undone %v; want Failed no money, a b c", s.Status, s.Error, s.Undo)
		}
		if w.did() != "a b c -c -b -a" {
			w.t.Errorf("it did %q; want a b c -c -b -a", w.did())
		}
		if e := s.Entries[len(s.Entries)-1]; e.Key != "undo:a" || e.Kind != operation.KindUndo || e.Seq != 6 || !e.Final() {
			w.t.Errorf("last entry = %+v; want undo:a as number 6", e)
		}
	})
}

func TestACancelEndsTheStepAndUndoesWhatMayHaveHappened(t *testing.T) {
	bubble(t, runsCode(booking(func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })), func(w *world) {
		w.accept("1")
		time.Sleep(time.Minute)
		s, err := w.e.Cancel(w.t.Context(), address, "1", "not wanted")
		if err != nil || s.Cancel != "not wanted" {
			w.t.Fatalf("Cancel = %q, %v; want not wanted", s.Cancel, err)
		}
		s = w.done("1")
		if s.Status != operation.Canceled || s.Error.Message != "not wanted" || w.did() != "a b c -c -b -a" {
			w.t.Errorf("done = %s %v, it did %q; want Canceled, not wanted, all undone", s.Status, s.Error, w.did())
		}
		if again, err := w.e.Cancel(w.t.Context(), address, "1", "twice"); err != nil || again.Cancel != "not wanted" {
			w.t.Errorf("Cancel of a canceled one = %q, %v; want it as it was", again.Cancel, err)
		}
	})
}

func TestACancelWhileTheOperationRestsUndoesWithoutDoingMore(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			defer w.logf("deferred")
			w.undo(ctx, r, "a")
			if _, err := r.Step(ctx, w.task("a")); err != nil {
				return nil, err
			}
			w.undo(ctx, r, "b")
			if _, err := r.Await(ctx, "signed", 0); err != nil {
				return nil, err
			}
			return r.Step(ctx, w.task("b"))
		}
	}), func(w *world) {
		w.accept("1")
		time.Sleep(time.Hour)
		w.forget()
		if _, err := w.e.Cancel(w.t.Context(), address, "1", ""); err != nil {
			w.t.Fatal(err)
		}
		if s := w.done("1"); s.Status != operation.Canceled || !strings.HasPrefix(w.did(), "deferred -a") || strings.Contains(w.did(), "b") {
			w.t.Errorf("done = %s, it did %q; want Canceled, its code ended and a undone, b not", s.Status, w.did())
		}
	})
}

func TestADeadlineEndsAnOperationThatRests(t *testing.T) {
	bubble(t, func(w *world) {
		runsCode(func(w *world) code {
			return func(ctx context.Context, r *operation.Run) ([]byte, error) {
				w.undo(ctx, r, "a")
				if _, err := r.Step(ctx, w.task("a")); err != nil {
					return nil, err
				}
				return r.Await(ctx, "signed", 0)
			}
		})(w)
		w.codes[0].Timeout = 2 * time.Hour
	}, func(w *world) {
		w.accept("1")
		s := w.done("1")
		if s.Status != operation.Failed || s.Error.Code != transport.DeadlineExceeded || s.Finished.Sub(s.Created) != 2*time.Hour || w.did() != "a -a" {
			w.t.Errorf("done = %s %v after %v, it did %q; want Failed, DeadlineExceeded after 2h, a -a", s.Status, s.Error, s.Finished.Sub(s.Created), w.did())
		}
	})
}

func TestWhatReturnsBeforeItAsksForMoreSucceedsInSpiteOfACancel(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			time.Sleep(time.Second)
			return []byte("done"), nil
		}
	}), func(w *world) {
		w.accept("1")
		if _, err := w.e.Cancel(w.t.Context(), address, "1", "x"); err != nil {
			w.t.Fatal(err)
		}
		if s := w.done("1"); s.Status != operation.Succeeded || string(s.Output) != "done" {
			w.t.Errorf("done = %s %q; want Succeeded", s.Status, s.Output)
		}
	})
}

func TestWhatCertainlyDidNotBeginIsNotUndone(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			w.undo(ctx, r, "a")
			time.Sleep(time.Second) // the code thinks
			return r.Step(ctx, w.task("a"))
		}
	}), func(w *world) {
		w.accept("1")
		time.Sleep(time.Second / 2)
		if _, err := w.e.Cancel(w.t.Context(), address, "1", "x"); err != nil {
			w.t.Fatal(err)
		}
		if s := w.done("1"); s.Status != operation.Canceled || w.did() != "" {
			w.t.Errorf("done = %s, it did %q; want Canceled, and nothing done or undone", s.Status, w.did())
		}
	})
}

func TestAnUndoThatKeepsFailingParksAndRetryGoesOnWithIt(t *testing.T) {
	for name, fail := range map[string]func() error{
		"it fails":  func() error { return errors.New("bank closed") },
		"it panics": func() error { panic("bank closed") },
	} {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			bubble(t, runsCode(func(w *world) code {
				return func(ctx context.Context, r *operation.Run) ([]byte, error) {
					w.undo(ctx, r, "a")
					r.Undo(ctx, "b", func(context.Context) error {
						w.logf("-b")
						if broken.Load() {
							return fail()
						}
						return nil
					})
					if _, err := r.Step(ctx, w.task("s")); err != nil {
						return nil, err
					}
					return nil, failure("no")
				}
			}), func(w *world) {
				broken.Store(true)
				w.accept("1")
				time.Sleep(time.Hour)
				s := w.get("1")
				if s.Status != operation.Parked || !strings.Contains(s.Parked, "bank closed") || w.did() != "s -b -b -b -b -b" {
					w.t.Fatalf("after 5 attempts: %s %q, it did %q; want Parked, bank closed", s.Status, s.Parked, w.did())
				}
				broken.Store(false)
				if s, err := w.e.Retry(w.t.Context(), address, "1"); err != nil || s.Status == operation.Parked {
					w.t.Fatalf("Retry = %s, %v", s.Status, err)
				}
				if s := w.done("1"); s.Status != operation.Failed || w.did() != "s -b -b -b -b -b -b -a" {
					w.t.Errorf("done = %s, it did %q; want Failed, b once more, then a", s.Status, w.did())
				}
			})
		})
	}
}

func TestWhatDoesNotFitParks(t *testing.T) {
	step := func(w *world, ctx context.Context, r *operation.Run, names ...string) error {
		for _, n := range names {
			if _, err := r.Step(ctx, w.task(n)); err != nil {
				return err
			}
		}
		return nil
	}
	for name, c := range map[string]struct {
		before, after []string // steps of the code before the restart, and after; a wait follows
		want          string
	}{
		"another step":   {[]string{"a", "b"}, []string{"a", "c"}, `as number 2 the journal has step "b", the code asks for step "c"`},
		"another order":  {[]string{"a", "b"}, []string{"b", "a"}, `as number 1 the journal has step "a", the code asks for step "b"`},
		"one step less":  {[]string{"a", "b"}, []string{"a"}, `as number 2 the journal has step "b", the code asks for signal "signal:go#1"`},
		"one name twice": {[]string{"a"}, []string{"a", "a"}, `two steps are named "a": name them apart`},
	} {
		t.Run(name, func(t *testing.T) {
			var names atomic.Pointer[[]string]
			bubble(t, runsCode(func(w *world) code {
				return func(ctx context.Context, r *operation.Run) ([]byte, error) {
					if err := step(w, ctx, r, *names.Load()...); err != nil {
						return nil, err
					}
					return r.Await(ctx, "go", 0)
				}
			}), func(w *world) {
				names.Store(&c.before)
				w.accept("1")
				time.Sleep(time.Minute)
				names.Store(&c.after)
				if _, err := w.e.Signal(w.t.Context(), address, "1", operation.Signal{ID: "g", Name: "go"}); err != nil {
					w.t.Fatal(err)
				}
				synctest.Wait()
				if s := w.get("1"); s.Status != operation.Parked || !strings.Contains(s.Parked, c.want) {
					w.t.Fatalf("it is %s %q; want Parked: %s", s.Status, s.Parked, c.want)
				}
				names.Store(&c.before)
				w.restart()
				if s := w.done("1"); s.Status != operation.Succeeded {
					w.t.Errorf("with its own code again: %s; want Succeeded", s.Status)
				}
			})
		})
	}
}

func TestCodeThatPanicsOrEndsItsGoroutineParks(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) { panic("oops") }
	}), func(w *world) {
		w.accept("1")
		synctest.Wait()
		if s := w.get("1"); s.Status != operation.Parked || !strings.Contains(s.Parked, "the code panicked: oops") || !strings.Contains(s.Parked, "undo_test.go") {
			w.t.Errorf("it is %s %q; want Parked with the panic and its place", s.Status, s.Parked)
		}
	})
}

func TestAnUnregisteredVersionParksAndSaysWhichAreThere(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) { return r.Await(ctx, "go", 0) }
	}), func(w *world) {
		w.accept("1")
		time.Sleep(time.Minute)
		old := w.codes
		w.codes = []operation.Code{{Address: address, Version: 2, Run: old[0].Run}, {Address: address, Version: 3, Run: old[0].Run}}
		w.restart()
		if _, err := w.e.Signal(w.t.Context(), address, "1", operation.Signal{ID: "g", Name: "go"}); err != nil {
			w.t.Fatal(err)
		}
		synctest.Wait()
		if s := w.get("1"); s.Status != operation.Parked || !strings.Contains(s.Parked, "version 1 of loans.v1.decide is not registered, there is: 2, 3") {
			w.t.Errorf("it is %s %q; want Parked", s.Status, s.Parked)
		}
		w.codes = append(w.codes, old...)
		w.restart()
		if s := w.done("1"); s.Version != 1 {
			w.t.Errorf("version = %d; want that of its acceptance, 1", s.Version)
		}
	})
}

func TestAResultThatCannotBeKeptParks(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			return r.Step(ctx, w.task("s", func(context.Context) error { return operation.Unencodable(errors.New("a channel")) }))
		}
	}), func(w *world) {
		w.accept("1")
		synctest.Wait()
		if s := w.get("1"); s.Status != operation.Parked || !strings.Contains(s.Parked, "a channel") || len(s.Entries) != 0 {
			w.t.Errorf("it is %s %q with %d entries; want Parked, a channel, none", s.Status, s.Parked, len(s.Entries))
		}
	})
}
