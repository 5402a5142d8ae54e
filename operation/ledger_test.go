package operation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
)

// told is what the ledger was told of one operation, a line each, as far as fields say something.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, t := range w.recorded {
		fmt.Fprintf(&b, "%s %s %s", t.Style, strings.TrimPrefix(t.Address, address), t.Kind)
		if t.Attempt > 0 {
			fmt.Fprintf(&b, " %d", t.Attempt)
		}
		if len(t.Expected) > 0 {
			fmt.Fprintf(&b, " expected %v", t.Expected)
		}
		if !t.Until.IsZero() {
			fmt.Fprintf(&b, " until +%v", t.Until.Sub(t.At))
		}
		if t.Reason != "" {
			fmt.Fprintf(&b, ": %s", t.Reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestTheLedgerIsToldTheWholeStoryOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(func(w *world) code {
			return func(ctx context.Context, r *operation.Run) ([]byte, error) {
				w.undo(ctx, r, "pay")
				if _, err := r.Step(ctx, operation.Task{Name: "pay", Numbered: true, Attempts: 2, Do: func(ctx context.Context) ([]byte, error) {
					if s, _ := operation.StepFrom(ctx); s.Attempt == 1 {
						return nil, operation.After(unavailable(), time.Minute)
					}
					return nil, nil
				}}); err != nil {
					return nil, err
				}
				silent := w.task("silent")
				silent.Silent = true
				if _, err := r.Step(ctx, silent); err != nil {
					return nil, err
				}
				r.Sleep(ctx, time.Hour)
				if _, err := r.Await(ctx, "signed", 0); err != nil {
					return nil, err
				}
				_, err := r.Step(ctx, operation.Task{Name: "last", Do: func(context.Context) ([]byte, error) { return nil, failure("no") }})
				return nil, err
			}
		})(w)
		w.start()
		w.accept("1")
		time.Sleep(30 * time.Minute)
		w.restart()
		time.Sleep(time.Hour)
		if _, err := w.e.Signal(t.Context(), address, "1", operation.Signal{ID: "g", Name: "signed", Source: "desk"}); err != nil {
			t.Fatal(err)
		}
		w.done("1")
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		want := `operation  accepted expected [loans.v1.decide]
operation  received 1
step /pay received 1
step /pay failed 1 until +1m0s: unavailable: not now
step /pay received 2
step /pay done 2
step /sleep received 1 until +1h0m0s
step /signal:signed received 1
step /sleep done 1
signal /signed accepted 1 expected [loans.v1.decide]
step /signal:signed done 1
signal /signed done 1
step /last received 1
step /last ended 1: failed-precondition: no
step /undo:pay received 1
step /undo:pay done 1
operation  ended: failed-precondition: no
`
		if got := w.told(); got != want {
			t.Errorf("the ledger was told:\n%s\nwant:\n%s", got, want)
		}
		for _, x := range w.recorded {
			cause := "1"
			if x.Style == ledger.StyleOperation {
				cause = ""
			}
			if x.Causation != cause || x.Correlation != "1" || x.At.IsZero() || x.Group == "" && x.Kind != ledger.Accepted {
				t.Errorf("transition %+v; want causation %q, correlation 1, a time and a group", x, cause)
			}
			if x.Style == ledger.StyleStep && x.Address == address+"/pay" && x.ID != operation.StepID("1", "pay#1") {
				t.Errorf("ID of pay = %s; want that of its key", x.ID)
			}
		}
	})
}

func TestTheLedgerIsToldThatAnotherProcessGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		runsCode(func(w *world) code {
			return func(ctx context.Context, r *operation.Run) ([]byte, error) {
				return r.Step(ctx, w.task("slow", func(ctx context.Context) error {
					select {
					case <-ctx.Done():
					case <-time.After(time.Minute):
					}
					return ctx.Err()
				}))
			}
		})(w)
		w.start()
		stop := w.stop
		w.accept("1")
		time.Sleep(time.Second)
		w.start()
		_ = w.done("1")
		want := `operation  accepted expected [loans.v1.decide]
operation  received 1
step /slow received 1
operation  received 2
step /slow received 1
step /slow done 1
operation  done
`
		if got := w.told(); got != want {
			t.Errorf("the ledger was told:\n%s\nwant:\n%s", got, want)
		}
		_ = stop()
		_ = w.stop()
	})
}
