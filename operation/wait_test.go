package operation_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

func TestADayOfSleepCostsNoGoroutineAndSurvivesARestart(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			if _, err := r.Step(ctx, w.task("before")); err != nil {
				return nil, err
			}
			r.Sleep(ctx, 24*time.Hour)
			return r.Step(ctx, w.task("after"))
		}
	}), func(w *world) {
		began := time.Now()
		before := goroutines(w.t)
		w.accept("1")
		if n := goroutines(w.t); n > before {
			w.t.Errorf("goroutines = %d while the operation sleeps, %d before; want no more", n, before)
		}
		s := w.get("1")
		if len(s.Active) != 1 || s.Active[0].Key != "sleep#1" || !s.Active[0].Next.Equal(began.Add(24*time.Hour)) || s.Status != operation.Running {
			w.t.Errorf("Get = %s, active %+v; want Running and sleep#1 until tomorrow", s.Status, s.Active)
		}
		time.Sleep(time.Hour)
		w.restart()
		w.done("1")
		if took := time.Since(began); took < 24*time.Hour || took > 24*time.Hour+time.Second {
			w.t.Errorf("it took %v, want a day", took)
		}
		if w.did() != "before after" {
			w.t.Errorf("the steps did %q, want each once", w.did())
		}
	})
}

func TestSignalsMayComeBeforeTheirAwaitAndInTheirOrder(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			r.Sleep(ctx, 10*time.Second)
			first, _ := r.Await(ctx, "signed", 0)
			second, _ := r.Await(ctx, "signed", 0)
			_, err := r.Await(ctx, "signed", time.Minute)
			if transport.CodeOf(err) != transport.DeadlineExceeded {
				return nil, fmt.Errorf("third = %w; want DeadlineExceeded", err)
			}
			return append(append(first, ' '), second...), nil
		}
	}), func(w *world) {
		w.accept("1")
		tell := func(id, body string) {
			w.t.Helper()
			if _, err := w.e.Signal(w.t.Context(), address, "1", operation.Signal{ID: id, Name: "signed", Body: []byte(body)}); err != nil {
				w.t.Fatalf("Signal = %v", err)
			}
		}
		tell("s1", "early")
		tell("s1", "early")
		time.Sleep(time.Hour)
		if s := w.get("1"); len(s.Active) != 1 || s.Active[0].Key != "signal:signed#2" {
			w.t.Errorf("active = %+v; want the second wait", s.Active)
		}
		tell("s2", "late")
		if s := w.done("1"); string(s.Output) != "early late" {
			w.t.Errorf("done = %s %q %v; want early late", s.Status, s.Output, s.Error)
		}
		_, err := w.e.Signal(w.t.Context(), address, "1", operation.Signal{ID: "s3", Name: "signed"})
		if transport.CodeOf(err) != transport.FailedPrecondition {
			w.t.Errorf("Signal after the end = %v; want FailedPrecondition", err)
		}
		if _, err = w.e.Signal(w.t.Context(), address, "9", operation.Signal{ID: "s3", Name: "signed"}); transport.CodeOf(err) != transport.NotFound {
			w.t.Errorf("Signal of an unknown operation = %v; want NotFound", err)
		}
		if _, err = w.e.Signal(w.t.Context(), "other", "1", operation.Signal{ID: "s3", Name: "signed"}); transport.CodeOf(err) != transport.InvalidArgument {
			w.t.Errorf("Signal with another address = %v; want InvalidArgument", err)
		}
	})
}

func TestASignalWhileTheCodeWaitsInMemoryIsHandedOver(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			w.logf("run")
			return r.Await(ctx, "signed", time.Hour)
		}
	}), func(w *world) {
		w.accept("1")
		time.Sleep(time.Second / 2)
		if _, err := w.e.Signal(w.t.Context(), address, "1", operation.Signal{ID: "s", Name: "signed", Body: []byte("x")}); err != nil {
			w.t.Fatal(err)
		}
		if s := w.done("1"); string(s.Output) != "x" {
			w.t.Errorf("done = %s %q; want x", s.Status, s.Output)
		}
		if !w.options.Strict && w.did() != "run" {
			w.t.Errorf("the code ran: %q; want once", w.did())
		}
	})
}

func TestRetriesBackOffAndLongOnesSurviveARestartWithTheirCount(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			return r.Step(ctx, operation.Task{Name: "pay", Kind: operation.KindStep, Do: func(ctx context.Context) ([]byte, error) {
				s, _ := operation.StepFrom(ctx)
				w.logf("%d", s.Attempt)
				switch {
				case s.Attempt < 4:
					return nil, unavailable()
				case s.Attempt == 4:
					return nil, operation.After(errors.New("busy"), time.Hour)
				}
				return []byte("paid"), nil
			}})
		}
	}), func(w *world) {
		w.accept("1")
		time.Sleep(time.Minute)
		s := w.get("1")
		if len(s.Active) != 1 || s.Active[0].Attempt != 4 || s.Active[0].Error == nil || s.Active[0].Error.Message != "busy" || time.Until(s.Active[0].Next) < 58*time.Minute {
			w.t.Errorf("active = %+v; want attempt 4, busy, tried again in an hour", s.Active)
		}
		w.restart()
		if s := w.done("1"); string(s.Output) != "paid" || s.Entries[0].Attempt != 5 {
			w.t.Errorf("done = %s %q, %+v; want paid by attempt 5", s.Status, s.Output, s.Entries)
		}
		if w.did() != "1 2 3 4 5" {
			w.t.Errorf("attempts = %s; want 1 2 3 4 5", w.did())
		}
	})
}

func TestWhatAStepIsBoundBy(t *testing.T) {
	for name, c := range map[string]struct {
		task operation.Task
		do   func(attempt int) error
		want string // attempts, then the error that the code sees
	}{
		"an ordinary error is tried once":   {operation.Task{}, func(int) error { return errors.New("no") }, "1 unknown: no"},
		"attempts bound whatever the error": {operation.Task{Attempts: 3}, func(int) error { return errors.New("no") }, "3 unknown: no"},
		"attempts bound transient errors":   {operation.Task{Attempts: 2}, func(int) error { return unavailable() }, "2 unavailable: not now"},
		"final ends it":                     {operation.Task{Attempts: 3}, func(int) error { return operation.Final(unavailable()) }, "1 unavailable: not now"},
		"again counts as no attempt":        {operation.Task{Attempts: 1}, again(5), "1 <nil>"},
		"a panic is a failed attempt":       {operation.Task{Attempts: 2}, func(int) error { panic("oops") }, "2 internal: panicked: oops"},
		"ending the goroutine is one":       {operation.Task{}, func(int) error { runtime.Goexit(); return nil }, "1 internal: the step has ended its goroutine (runtime.Goexit)"},
		"time bounds all attempts":          {operation.Task{Within: 10 * time.Second}, func(int) error { return unavailable() }, "- deadline-exceeded: not done within 10s; the last attempt: unavailable: not now"},
		"a declared error keeps name and fields": {operation.Task{}, func(int) error {
			return fmt.Errorf("wrapped: %w", &transport.Error{Code: transport.NotFound, Name: "loans.v1.gone", Message: "m", Address: "dropped"})
		}, "1 loans.v1.gone: m"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, runsCode(func(w *world) code {
				return func(ctx context.Context, r *operation.Run) ([]byte, error) {
					task := c.task
					task.Name = "s"
					task.Do = func(ctx context.Context) ([]byte, error) {
						s, _ := operation.StepFrom(ctx)
						return nil, c.do(s.Attempt)
					}
					_, err := r.Step(ctx, task)
					return fmt.Appendf(nil, "%v", err), nil
				}
			}), func(w *world) {
				w.accept("1")
				s := w.done("1")
				attempts, text, _ := strings.Cut(c.want, " ")
				if string(s.Output) != text {
					w.t.Errorf("the code sees %q; want %q", s.Output, text)
				}
				if got := fmt.Sprint(s.Entries[0].Attempt); attempts != "-" && got != attempts {
					w.t.Errorf("attempts = %s; want %s", got, attempts)
				}
			})
		})
	}
}

// again is not ready n times.
func again(n int) func(int) error {
	return func(int) error {
		if n--; n >= 0 {
			return operation.Again(700 * time.Millisecond)
		}
		return nil
	}
}

func TestTheCodeSeesTheSameErrorTodayAndAfterACrash(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			_, err := r.Step(ctx, operation.Task{Name: "s", Do: func(context.Context) ([]byte, error) {
				return nil, &transport.Error{Code: transport.InvalidArgument, Name: "n", Message: "m", Details: []byte("{}"), Cause: errors.New("dropped"),
					Fields: []transport.Field{{Path: "p", Message: "f"}}, Peer: "dropped", NotSent: true}
			}})
			w.logf("%+v", *err.(*transport.Error))
			r.Sleep(ctx, time.Hour) // it begins again after it
			return nil, nil
		}
	}), func(w *world) {
		w.accept("1")
		w.done("1")
		log := w.log
		if want := fmt.Sprintf("%+v", transport.Error{Code: transport.InvalidArgument, Name: "n", Message: "m: dropped", Details: []byte("{}"),
			Fields: []transport.Field{{Path: "p", Message: "f"}}}); len(log) < 2 || log[0] != want || log[len(log)-1] != want {
			w.t.Errorf("the code saw %q; want at least twice %q", log, want)
		}
	})
}

func TestTheContextOfAStepEndsWithItsTime(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			_, err := r.Step(ctx, operation.Task{Name: "slow", Within: time.Minute, Do: func(ctx context.Context) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			if ctx.Err() != nil {
				return nil, errors.New("the context of the code has ended")
			}
			return []byte(transport.CodeOf(err)), nil
		}
	}), func(w *world) {
		w.accept("1")
		if s := w.done("1"); string(s.Output) != string(transport.DeadlineExceeded) || s.Finished.Sub(s.Created) != time.Minute {
			w.t.Errorf("done = %q %v after %v; want deadline-exceeded after a minute", s.Output, s.Error, s.Finished.Sub(s.Created))
		}
	})
}

func TestParallelStepsRunAtOnceAndTheOperationWaitsForThem(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			slow := func(ctx context.Context) error { time.Sleep(30 * time.Second); return nil }
			a, b := r.Go(ctx, w.task("a", slow)), r.Go(ctx, w.task("b", slow))
			r.Go(ctx, w.task("nobody waits for it", func(context.Context) error { time.Sleep(time.Minute); return nil }))
			x, err := b.Get(ctx)
			if err != nil {
				return nil, err
			}
			y, err := a.Get(ctx)
			if err != nil {
				return nil, err
			}
			again, _ := a.Get(ctx)
			return append(append(x, y...), again...), nil
		}
	}), func(w *world) {
		w.accept("1")
		s := w.done("1")
		if took := s.Finished.Sub(s.Created); string(s.Output) != "baa" || took != time.Minute || len(s.Entries) != 3 {
			w.t.Errorf("done = %q after %v with %d entries; want baa after 1m with 3", s.Output, took, len(s.Entries))
		}
	})
}
