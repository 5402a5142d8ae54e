package parley

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/operation"
)

// StepOption is an option of [Step] and of [Go].
type StepOption interface{ step(l *limits) }

// GatherOption is an option of [Gather].
type GatherOption interface{ gather(l *limits) }

// WithinOption is the option [Within].
type WithinOption interface {
	StepOption
	AwaitOption
	GatherOption
}

type limitOption func(*limits)

func (f limitOption) step(l *limits)   { f(l) }
func (f limitOption) await(l *limits)  { f(l) }
func (f limitOption) gather(l *limits) { f(l) }

// Attempts is how often a step is tried at the most before its error is the operation's to deal with, whatever the error
// is but for [Permanent] ones. Without it a step is tried once, but what says that it may succeed later (codes
// Unavailable, ResourceExhausted, Aborted, DeadlineExceeded) is tried again for as long as it takes or [Within] allows.
// Between attempts are 100 ms, doubled each time up to 30 s, half of it random; or longer, as [RetryAfter] says.
func Attempts(n int) StepOption {
	if n < 1 {
		panic(fmt.Sprintf("parley: Attempts(%d): want 1 or more", n))
	}
	return limitOption(func(l *limits) { l.attempts = n })
}

// Within bounds a step with all its attempts, the wait for a signal, or a gathering. The time of a wait goes on while the
// process is down; that of a step that was cut off in an attempt begins anew.
func Within(d time.Duration) WithinOption {
	if d <= 0 {
		panic(fmt.Sprintf("parley: Within(%v): want more than 0", d))
	}
	return limitOption(func(l *limits) { l.within = d })
}

// Step does something in the code of an operation that is not a verb of a contract: f runs at least once, and once its
// result is kept, never again; it must be JSON. Its context is for this attempt; a verb called with it is a part of the
// step, under an id that is the same at every attempt, and so is MessageFrom(ctx).ID. What f returns as an error reaches
// the code as an [*Error], today and after a crash: a plain error as one of code Unknown with its text. The name is
// unique in the operation, of letters, digits, '.', '-' and '_'.
//
// In any other handler, and within a step, Step just calls f, so that one function can serve as a Call and as an Operation.
func Step[T any](ctx context.Context, name string, f func(context.Context) (T, error), options ...StepOption) (T, error) {
	task, l := taskOf(name, options)
	if run, ok := operation.RunFrom(ctx); ok {
		return stepped(ctx, run, task, f)
	}
	return attempts(ctx, l, f)
}

// Go is [Step] beside the code, for work in parallel: Get of what it returns waits for the result. An operation does not
// end before all of its steps have.
func Go[T any](ctx context.Context, name string, f func(context.Context) (T, error), options ...StepOption) *Future[T] {
	task, l := taskOf(name, options)
	if run, ok := operation.RunFrom(ctx); ok {
		task.Do = doing(f)
		future := run.Go(ctx, task)
		return &Future[T]{get: func(ctx context.Context) (T, error) { return resultOfStep[T](future.Get(ctx)) }}
	}
	if step, ok := operation.StepFrom(ctx); ok { // so that the order in which they run does not change their ids
		ctx = step.Branch(ctx, name)
	}
	var v T
	var err error
	done := make(chan struct{})
	go func() { // ends with f, whose context ends with its caller's
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				err = &Error{Code: Internal, Message: fmt.Sprintf("the step %s panicked: %v", name, p)}
			}
		}()
		v, err = attempts(ctx, l, f)
	}()
	return &Future[T]{get: func(ctx context.Context) (T, error) {
		select {
		case <-done:
			return v, err
		case <-ctx.Done():
			return *new(T), context.Cause(ctx)
		}
	}}
}

// Future is the result of [Go].
type Future[T any] struct {
	get func(context.Context) (T, error)
}

// Get waits for the result; it may be called more than once.
func (f *Future[T]) Get(ctx context.Context) (T, error) { return f.get(ctx) }

// Undo declares how to undo the step that comes next. f runs only if the operation fails, is canceled or runs out of time,
// after all steps have ended, the one declared last first; it runs also when it is not known whether that step happened, so it must
// tolerate that nothing did. It is a step itself, tried again until it succeeds; when it has failed 5 times for good the
// operation is parked until somebody helps. The name is unique in the operation.
//
// In any other handler f runs when the handler fails, once and as well as it goes: nothing there is durable.
func Undo(ctx context.Context, name string, f func(context.Context) error) {
	checkStepName(name)
	if run, ok := operation.RunFrom(ctx); ok {
		run.Undo(ctx, name, func(ctx context.Context) error { return stepError(f(ctx)) })
		return
	}
	h, ok := ctx.Value(messageKey{}).(*handling)
	if _, within := operation.StepFrom(ctx); within || !ok {
		panic(fmt.Sprintf("parley: Undo of %s within a step or outside of a handler: declare it in the code of the operation, before the step", name))
	}
	h.undo(name, f)
}

// Sleep waits for d. In the code of an operation that costs nothing and goes on while the process is down, and the error is
// nil; elsewhere it ends early with ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	if run, ok := operation.RunFrom(ctx); ok {
		run.Sleep(ctx, d)
		return nil
	}
	wait(ctx, d)
	return context.Cause(ctx)
}

// taskOf reads a step's options.
func taskOf(name string, options []StepOption) (operation.Task, limits) {
	checkStepName(name)
	var l limits
	for _, o := range options {
		o.step(&l)
	}
	return operation.Task{Name: name, Kind: operation.KindStep, Attempts: l.attempts, Within: l.within}, l
}

// checkStepName panics, which parks the operation: a name that follows from data may be wrong once.
func checkStepName(name string) {
	ok := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_", r)
	}) < 0
	if !ok || name == "" || len(name) > 100 {
		panic(fmt.Sprintf("parley: the name of a step %q: want 1 to 100 letters, digits, '.', '-' and '_'", name))
	}
}

// verb does a verb of a contract as a step, under the step's own id.
func verb[T any](ctx context.Context, run *operation.Run, c *contract, f func(context.Context, MessageCallOption) (T, error)) (T, error) {
	kind := map[Style]string{
		StyleCall: operation.KindCall, StyleCommand: operation.KindCommand, StyleEvent: operation.KindEvent, StyleOperation: operation.KindOperation,
	}[c.style]
	task := operation.Task{Name: c.address, Numbered: true, Kind: kind, Silent: true}
	return stepped(ctx, run, task, func(ctx context.Context) (T, error) {
		step, _ := operation.StepFrom(ctx)
		v, err := f(withMessage(ctx, ofOperation(step.Operation)), WithID(MessageID(step.ID)))
		if e, ok := errors.AsType[*Error](err); ok && !e.NotSent && c.style == StyleCall && !c.idempotent {
			err = operation.Final(err) // it may have been executed
		}
		return v, err
	})
}

// stepped does f as a step of an operation.
func stepped[T any](ctx context.Context, run *operation.Run, task operation.Task, f func(context.Context) (T, error)) (T, error) {
	task.Do = doing(f)
	return resultOfStep[T](run.Step(ctx, task))
}

func doing[T any](f func(context.Context) (T, error)) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		v, err := f(ctx)
		if err != nil {
			return nil, stepError(err)
		}
		b, err := encode(v)
		if err != nil {
			return nil, operation.Unencodable(err)
		}
		return b, nil
	}
}

func resultOfStep[T any](b []byte, err error) (T, error) {
	var v T
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, &Error{Code: Internal, Message: fmt.Sprintf("the kept result of a step can't be read as %T; change its type only under a new version", v), Fields: []Field{jsonField(err)}}
	}
	return v, nil
}

// stepError says in the words of package operation what a handler says with Permanent and RetryAfter.
func stepError(err error) error {
	if err == nil {
		return nil
	}
	if after := delivery.RetryAfterOf(err); after > 0 {
		return operation.After(err, after)
	}
	if delivery.IsPermanent(err) {
		return operation.Final(err)
	}
	return err
}

// attempts is Step outside of operations.
func attempts[T any](ctx context.Context, l limits, f func(context.Context) (T, error)) (T, error) {
	if l.within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.within)
		defer cancel()
	}
	pause := 100 * time.Millisecond
	for n := 1; ; n++ {
		v, err := f(ctx)
		if err == nil || n >= l.attempts || delivery.IsPermanent(err) || ctx.Err() != nil {
			return v, err
		}
		wait(ctx, pause)
		pause = min(2*pause, 30*time.Second)
	}
}

// undos are those of a handler outside of operations.
type undos struct {
	mu   sync.Mutex
	list []declaredUndo
}

type declaredUndo struct {
	name string
	f    func(context.Context) error
}

func (u *undos) undo(name string, f func(context.Context) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, declaredUndo{name, f})
}

// undoLimit bounds each of the undos of a handler that is no operation.
const undoLimit = 10 * time.Second

// run does what was declared, the last first, after the handler failed; it answers what went wrong.
func (u *undos) run(ctx context.Context) error {
	u.mu.Lock()
	list := u.list
	u.list = nil
	u.mu.Unlock()
	var errs []error
	for i := len(list) - 1; i >= 0; i-- {
		errs = append(errs, list[i].run(ctx))
	}
	return errors.Join(errs...)
}

func (d declaredUndo) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("undo %s: panicked: %v", d.name, p)
		}
	}()
	if err := d.f(ctx); err != nil {
		return fmt.Errorf("undo %s: %w", d.name, err)
	}
	return nil
}
