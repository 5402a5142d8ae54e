package operation_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/parley-io/parley/operation"
)

func TestAnOperationIsAcceptedRunAndAnswered(t *testing.T) {
	bubble(t, runsCode(func(w *world) code {
		return func(ctx context.Context, r *operation.Run) ([]byte, error) {
			out := r.Record().Input
			for _, name := range []string{"a", "b", "c"} {
				o, err := r.Step(ctx, w.task(name))
				if err != nil {
					return nil, err
				}
				out = append(out, o...)
			}
			return out, nil
		}
	}), func(w *world) {
		if s := w.accept("1"); s.Status != operation.Running {
			w.t.Errorf("Accept = %s, want Running: there is room", s.Status)
		}
		s := w.done("1")
		if s.Status != operation.Succeeded || string(s.Output) != "inabc" || len(s.Entries) != 3 {
			w.t.Errorf("done = %s %q with %d entries; want Succeeded inabc with 3", s.Status, s.Output, len(s.Entries))
		}
		if w.did() != "a b c" {
			w.t.Errorf("the steps did %q, want each once", w.did())
		}
	})
}

func TestEnterWrapsTheContextOfTheCodeAndOfEachAttempt(t *testing.T) {
	type key struct{}
	bubble(t, func(w *world) {
		runsCode(func(w *world) code {
			return func(ctx context.Context, r *operation.Run) ([]byte, error) {
				return r.Step(ctx, operation.Task{Name: "s", Attempts: 2, Do: func(ctx context.Context) ([]byte, error) {
					w.logf("%v", ctx.Value(key{}))
					if s, _ := operation.StepFrom(ctx); s.Attempt == 1 {
						return nil, failure("no")
					}
					return nil, nil
				}})
			}
		})(w)
		w.options.Enter = func(ctx context.Context, r *operation.Record, s *operation.Step) (context.Context, func(error)) {
			name := r.ID
			if s != nil {
				name = fmt.Sprint(ctx.Value(key{}), "/", s.Key, s.Attempt)
			}
			return context.WithValue(ctx, key{}, name), func(err error) { w.logf("end:%s:%v", name, err != nil) }
		}
	}, func(w *world) {
		w.accept("1")
		w.done("1")
		if want := "1/s1 end:1/s1:true 1/s2 end:1/s2:false end:1:false"; w.did() != want {
			w.t.Errorf("it did %q; want %q", w.did(), want)
		}
	})
}
