package operation

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Run is a run of an operation's code: from its begin, or its begin again, to its end or interruption. Its methods are
// called by the goroutine of the code only. They never return because of the journal or of the process: then the
// goroutine ends (see [Code].Run). They panic where they can't have a meaning: inside of a step, and when the run has
// ended.
type Run struct {
	live   *live
	rec    *Record
	answer chan bool   // true = go on, false = quit; capacity 1, as the code asks one question at a time
	asking atomic.Bool // one goroutine waits for an answer
	quit   atomic.Bool // the code was told to end
	ended  atomic.Bool
}

// RunFrom is the run that ctx belongs to; false outside of operations, and inside of steps.
func RunFrom(ctx context.Context) (*Run, bool) {
	s, _ := ctx.Value(scopeKey{}).(scope)
	return s.run, s.run != nil
}

// Record is the operation, as it was when this run began. Not to be changed.
func (r *Run) Record() *Record { return r.rec }

// Task is a step to be done.
type Task struct {
	// Name is the step's key in the journal. Numbered makes it "NAME#n", n counted in the order in which the code asks;
	// otherwise a name that the operation has used already parks it.
	Name     string
	Numbered bool
	Kind     string // KindStep, …; "" = KindStep
	// Attempts is how often it is tried at the most, whatever the error; 0 = once, but transient errors (see
	// [Transient]) and those marked with [After] are tried again for as long as it takes.
	Attempts int
	// Within bounds all attempts together, and the context of each; 0 = no bound but the operation's own. When it is
	// over, the step's error is DeadlineExceeded. The time goes on while the process is down, from the first attempt
	// that the journal knows of.
	Within time.Duration
	// Silent steps are not recorded in the ledger: what they do is recorded by itself, under the step's ID.
	Silent bool
	// Do is the work. Its context has the step, see [StepFrom]. It may run more than once: until its result is in the
	// journal. What it returns as an error goes through the journal too, so that the code sees a *transport.Error, today and
	// after a crash: of a plain error the text, with code Unknown. See [Final], [After], [Again] and [Unencodable].
	Do func(ctx context.Context) ([]byte, error)

	base func() context.Context // of the code where it asked
}

// Step does a task and answers its result, which is durable before the next step begins; or the result that the journal
// has.
func (r *Run) Step(ctx context.Context, t Task) ([]byte, error) { return r.wait(ctx, t) }

// Go is Step beside the code. The operation does not end before the step has.
func (r *Run) Go(ctx context.Context, t Task) *Future {
	r.belongs(ctx, "Go")
	return &Future{run: r, step: r.ask(ctx, t, false)}
}

// Future is the result of a step that runs beside the code.
type Future struct {
	run  *Run
	step *step
}

// Get waits for the result. It may be called more than once, by the goroutine of the code.
func (f *Future) Get(ctx context.Context) ([]byte, error) {
	f.run.belongs(ctx, "Get")
	f.run.call(func(now time.Time, m *machine) { m.await(now, f.step) })
	return f.step.result()
}

// Undo declares how to undo the step that comes next (and whatever comes after it). do runs only if the operation fails,
// is canceled or runs out of time, not before every step has ended, in the reverse order of declaration, and not if
// certainly no step had begun since it was declared. It must tolerate that nothing has happened. It is tried again as a
// step is, and at least 5 times whatever the error; then the operation is Parked. Its context is not ended by what ends
// the code.
func (r *Run) Undo(ctx context.Context, name string, do func(ctx context.Context) error) {
	r.belongs(ctx, "Undo")
	t := Task{Name: name, Kind: KindUndo,
		base: func() context.Context { return context.WithoutCancel(ctx) }, // the code is gone when it runs
		Do:   func(ctx context.Context) ([]byte, error) { return nil, do(ctx) }}
	r.call(func(now time.Time, m *machine) {
		if r.live.undos[name].Do == nil {
			r.live.undos[name] = t
		}
		m.declare(now, name)
	})
}

// Sleep waits; the time goes on while the process is down.
func (r *Run) Sleep(ctx context.Context, d time.Duration) {
	_, _ = r.wait(ctx, Task{Name: "sleep", Numbered: true, Kind: KindSleep, Within: d}) // a sleep has no result
}

// Await waits for the next signal of a name that this operation has not taken yet: the n-th Await gets the n-th one,
// also when it came before. within bounds the wait; 0 = none. When it is over the error is DeadlineExceeded.
func (r *Run) Await(ctx context.Context, signal string, within time.Duration) ([]byte, error) {
	return r.wait(ctx, Task{Name: "signal:" + signal, Numbered: true, Kind: KindSignal, Within: within})
}

func (r *Run) wait(ctx context.Context, t Task) ([]byte, error) {
	r.belongs(ctx, "Step, Sleep or Await")
	return r.ask(ctx, t, true).result()
}

func (r *Run) ask(ctx context.Context, t Task, wait bool) (s *step) {
	if t.Kind == "" {
		t.Kind = KindStep
	}
	t.base = func() context.Context { return ctx }
	r.call(func(now time.Time, m *machine) { s = m.ask(now, t, wait) })
	return s
}

// call asks the machine and waits until the code may go on. If it may not, the goroutine ends here.
func (r *Run) call(question func(time.Time, *machine)) {
	if r.quit.Load() { // a deferred function of code that has been told to
		runtime.Goexit()
	}
	if !r.asking.CompareAndSwap(false, true) {
		r.live.post(func(now time.Time) {
			r.live.m.misfit("its code asks for steps from two goroutines at once: use Go for work in parallel")
			r.live.m.settle(now)
		})
		runtime.Goexit()
	}
	r.live.post(func(now time.Time) { question(now, r.live.m) })
	goOn := <-r.answer
	r.quit.Store(!goOn)
	r.asking.Store(false)
	if !goOn {
		runtime.Goexit()
	}
}

func (r *Run) belongs(ctx context.Context, method string) {
	if s, ok := StepFrom(ctx); ok {
		panic(fmt.Sprintf("operation: %s inside of the step %q: only the code of an operation has steps, a step has none", method, s.Key))
	}
	if r.ended.Load() { // a goroutine that the code has left behind; a panic would end the process
		r.live.e.log.ErrorContext(ctx, "a goroutine asks for a step of an operation's run that has ended: it ends here; use Go for work in parallel",
			"method", method, "operation", r.rec.ID, "address", r.rec.Address)
		runtime.Goexit()
	}
}

// result is what the code gets. The bytes are its own.
func (s *step) result() ([]byte, error) {
	if s.Error != nil {
		e := *s.Error
		return nil, &e
	}
	return bytes.Clone(s.Output), nil
}

// Step is an attempt of a step.
type Step struct {
	Operation *Record // as it was when this run of the code began. Not to be changed
	ID        string  // of the step, the same at every attempt: see StepID
	Key       string  // in the journal
	Attempt   int     // from 1

	mu     sync.Mutex
	named  map[string]int // how many IDs NextID has derived
	branch string         // of the parts that this belongs to, each with a / before it; "" = the whole step
}

// StepFrom is the attempt that ctx belongs to; false outside of steps.
func StepFrom(ctx context.Context) (*Step, bool) {
	s, _ := ctx.Value(scopeKey{}).(scope)
	return s.step, s.step != nil
}

// scope is what a context belongs to: the code of a run, or an attempt of a step.
type scope struct {
	run  *Run
	step *Step
}

type scopeKey struct{}
