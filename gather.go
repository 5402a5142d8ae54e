package parley

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/parley-io/parley/operation"
)

// Gathered is what some of many answered; see [Gather].
type Gathered[T any] struct {
	// Answers are those that came, each with whose it is, in the order in which they came.
	Answers []Answer[T] `json:"answers"`
	// Failures are why others did not: they failed, or were given up when there were enough or the time was over.
	Failures []Failure `json:"failures"`
}

// Answer is that of one of those who were asked.
type Answer[T any] struct {
	From  int `json:"from"` // the index in what Gather was given
	Value T   `json:"value"`
}

// Failure is why there is no answer of one of those who were asked.
type Failure struct {
	From    int    `json:"from"` // the index in what Gather was given
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Values are the answers alone.
func (g Gathered[T]) Values() []T {
	values := make([]T, len(g.Answers))
	for i, a := range g.Answers {
		values[i] = a.Value
	}
	return values
}

// ErrTooFew is what [Gather] answers when fewer have answered than [Enough] says, beside the answers that came.
var ErrTooFew = &Error{Code: Unavailable, Name: "parley.too-few"}

// Enough is how many answers [Gather] waits for; the others are given up then. Without it, it waits for all, and any
// number is enough.
func Enough(n int) GatherOption {
	if n < 1 {
		panic(fmt.Sprintf("parley: Enough(%d): want 1 or more", n))
	}
	return limitOption(func(l *limits) { l.enough = n })
}

// Gather asks many at once, and returns when [Enough] have answered, when no more can, or when the time of [Within] or
// ctx is over; the contexts of those that are still asked end then. What came is returned also with the error, which is
// [ErrTooFew] when that is not enough: a quorum, a deadline and partial results. In the code of an operation a gathering is
// one step of that name, whose result is kept with the error; elsewhere the name is for the error only. ask runs at once for all.
func Gather[S, T any](ctx context.Context, name string, from []S, ask func(context.Context, S) (T, error), options ...GatherOption) (Gathered[T], error) {
	var l limits
	for _, o := range options {
		o.gather(&l)
	}
	if l.enough > len(from) {
		return Gathered[T]{}, &Error{Code: InvalidArgument, NotSent: true, Message: fmt.Sprintf("gather %s: Enough(%d) of %d", name, l.enough, len(from))}
	}
	checkStepName(name)
	var g Gathered[T]
	if run, ok := operation.RunFrom(ctx); ok {
		task := operation.Task{Name: name, Kind: operation.KindStep}
		var err error
		g, err = stepped(ctx, run, task, func(ctx context.Context) (Gathered[T], error) {
			g := gather(ctx, from, ask, l)
			return g, context.Cause(ctx) // who is interrupted asks again
		})
		if err != nil {
			return g, err
		}
	} else {
		g = gather(ctx, from, ask, l)
	}
	if len(g.Answers) < l.enough {
		e := *ErrTooFew
		e.Message = fmt.Sprintf("gather %s: %d of %d answered, want %d", name, len(g.Answers), len(from), l.enough)
		return g, &e
	}
	return g, nil
}

// gather does the work of Gather.
func gather[S, T any](ctx context.Context, from []S, ask func(context.Context, S) (T, error), l limits) Gathered[T] {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if l.within > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, l.within, &Error{Code: DeadlineExceeded, Message: fmt.Sprintf("no answer within %v", l.within)})
		defer stop()
	}
	var mu sync.Mutex
	g := Gathered[T]{Answers: []Answer[T]{}, Failures: []Failure{}}
	var asking sync.WaitGroup
	for i, s := range from {
		asking.Go(func() {
			v, err := asked(branch(ctx, i), s, ask)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && (l.enough == 0 || len(g.Answers) < l.enough):
				g.Answers = append(g.Answers, Answer[T]{i, v})
				if len(g.Answers) == l.enough {
					cancel(&Error{Code: Canceled, Message: "there were enough answers"})
				}
			case err == nil:
				g.Failures = append(g.Failures, Failure{i, Canceled, "there were enough answers"})
			default:
				if cause := context.Cause(ctx); cause != nil {
					err = cause
				}
				g.Failures = append(g.Failures, failureOf(i, err))
			}
		})
	}
	asking.Wait()
	return g
}

// branch is the context for one of many, whose calls get ids of their own that are the same when the step is tried again.
func branch(ctx context.Context, i int) context.Context {
	if step, ok := operation.StepFrom(ctx); ok {
		return step.Branch(ctx, strconv.Itoa(i))
	}
	return ctx
}

func asked[S, T any](ctx context.Context, s S, ask func(context.Context, S) (T, error)) (_ T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Code: Internal, Message: fmt.Sprintf("panicked: %v", p)}
		}
	}()
	return ask(ctx, s)
}

func failureOf(from int, err error) Failure {
	f := Failure{From: from, Code: CodeOf(err), Message: err.Error()}
	if e, ok := errors.AsType[*Error](err); ok && e.Address == "" && e.Message != "" {
		f.Message = e.Message
	}
	return f
}
