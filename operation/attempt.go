package operation

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// execute is the goroutine of the code.
func (l *live) execute(ctx context.Context, r *Run, c Code) {
	var output []byte
	var err error
	var done func(error)
	returned := false
	defer func() {
		trouble := ""
		if p := recover(); p != nil {
			trouble = fmt.Sprintf("the code panicked: %v%s", p, frames())
			err = panicked(p)
			l.e.log.ErrorContext(ctx, "the code of an operation panicked", "operation", r.rec.ID, "address", r.rec.Address,
				"panic", p, "stack", string(debug.Stack()))
		} else if !returned && !r.quit.Load() {
			trouble = "the code has ended its goroutine (runtime.Goexit) instead of returning"
		}
		r.ended.Store(true)
		if done != nil {
			done(err)
		}
		l.post(func(now time.Time) {
			if returned && trouble == "" {
				l.m.returned(now, output, err)
			} else {
				l.m.exited(now, trouble)
			}
		})
	}()
	ctx = context.WithValue(ctx, scopeKey{}, scope{run: r})
	if l.e.o.Enter != nil {
		ctx, done = l.e.o.Enter(ctx, r.rec, nil)
	}
	output, err = c.Run(ctx, r.rec.Input)
	returned = true
}

// attempt begins an attempt of a step.
func (l *live) attempt(s *step) {
	task := s.task
	if s.Kind == KindUndo {
		task = l.undos[strings.TrimPrefix(s.Key, "undo:")]
	}
	st := &Step{Operation: l.run.rec, ID: StepID(l.id, s.Key), Key: s.Key, Attempt: s.Attempt}
	ctx, cancel := context.WithCancelCause(context.WithValue(task.base(), scopeKey{}, scope{step: st}))
	stop := context.CancelFunc(func() {})
	if limit := s.limit(); !limit.IsZero() {
		ctx, stop = context.WithDeadlineCause(ctx, limit, overdue(s))
	}
	l.cancels[s] = cancel
	l.work.Go(func() {
		v := verdict{err: &transport.Error{Code: transport.Internal, Message: "the step has ended its goroutine (runtime.Goexit)"}}
		defer func() {
			stop()
			cancel(nil)
			l.post(func(now time.Time) {
				delete(l.cancels, s)
				l.m.attempted(now, s, v)
			})
		}()
		v = l.do(ctx, task, st)
	})
}

// do is one attempt. A panic is an error.
func (l *live) do(ctx context.Context, t Task, st *Step) (v verdict) {
	var done func(error)
	var err error
	defer func() {
		if p := recover(); p != nil {
			v = verdict{err: panicked(p)}
			err = v.err
			l.e.log.LogAttrs(ctx, slog.LevelError, "a step panicked", slog.String("operation", l.id), slog.String("step", st.Key),
				slog.Int("attempt", st.Attempt), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
		if done != nil {
			done(err)
		}
	}()
	if l.e.o.Enter != nil {
		ctx, done = l.e.o.Enter(ctx, st.Operation, st)
	}
	output, err := t.Do(ctx)
	if v = judge(output, err); v.again {
		err = nil // it is not ready, and nothing is wrong
	}
	return v
}

// frames are the places nearest to a panic, in a line each.
func frames() string {
	lines := strings.Split(string(debug.Stack()), "\n")
	at := 0
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") {
			at = i + 2
		}
	}
	var b strings.Builder
	for i := at; i+1 < len(lines) && i < at+6; i += 2 {
		place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +")
		name, _, _ := strings.Cut(lines[i], "(0x")
		fmt.Fprintf(&b, "\n  %s %s", name, place)
	}
	return b.String()
}
