package outside

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
)

// Log is the log of one service. A nil Log writes nothing. Safe for concurrent use.
type Log struct {
	file *os.File

	mu  sync.Mutex
	err error // the first line that could not be written
}

// Open opens DIR/SERVICE.log for appending; without a directory it is the nil Log.
func Open(dir, service string) (*Log, error) {
	if dir == "" {
		return nil, nil
	}
	path := filepath.Join(dir, service+".log")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user says where
	if err != nil {
		return nil, fmt.Errorf("outside log of %s: %w", service, err)
	}
	return &Log{file: f}, nil
}

// Close closes the file. Its error says also when a line is missing because it could not be written.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.err, l.file.Close())
}

// Called notes how a call has ended, and returns its error.
func (l *Log) Called(address string, err error) error {
	outcome := OK
	if err != nil {
		outcome = string(parley.CodeOf(err))
	}
	l.line("called", string(parley.StyleCall), address, outcome)
	return err
}

// Confirmed notes that a message is the network's responsibility from here on, unless there is an error, which it returns.
func (l *Log) Confirmed(style parley.Style, address string, id parley.MessageID, err error) error {
	if err == nil {
		l.line("confirmed", string(style), address, string(id))
	}
	return err
}

// HandledCommand notes that the work for the command with this context is done.
func (l *Log) HandledCommand(ctx context.Context) { l.handled(ctx, parley.StyleCommand, "-") }

// HandledEvent notes that a group has done its work for the event with this context.
func (l *Log) HandledEvent(ctx context.Context, group string) {
	l.handled(ctx, parley.StyleEvent, group)
}

// Expected notes what must become of an operation that is about to be started, and the undos that must run.
func (l *Log) Expected(address string, id parley.MessageID, outcome string, undos ...string) {
	l.line(append([]string{"expected", address, string(id), outcome}, undos...)...)
}

// Started notes that the start of an operation was confirmed, unless there is an error, which it returns.
func (l *Log) Started(address string, id parley.MessageID, err error) error {
	if err == nil {
		l.line("started", address, string(id))
	}
	return err
}

// Step notes that an attempt of the step with this context begins, and what it returns notes that it has ended:
//
//	defer log.Step(ctx)()
//
// Outside of operations it writes nothing.
func (l *Log) Step(ctx context.Context) (end func()) {
	s, ok := operation.StepFrom(ctx)
	if !ok {
		return func() {}
	}
	l.line("step-begin", s.Operation.ID, s.Key)
	return func() { l.line("step-end", s.Operation.ID, s.Key) }
}

// Ending is the code f of an operation, which notes its outcome.
func Ending[I, O any](l *Log, f func(context.Context, I) (O, error)) func(context.Context, I) (O, error) {
	return func(ctx context.Context, in I) (O, error) {
		out, err := f(ctx, in)
		if run, ok := operation.RunFrom(ctx); ok {
			l.line("ended", run.Record().ID, Outcome(err))
		}
		return out, err
	}
}

// OK is the outcome of what went well.
const OK = "ok"

// Outcome is how an operation with this error has ended.
func Outcome(err error) string {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*parley.Error](err); ok && e.Name != "" {
		return e.Name
	}
	return string(parley.CodeOf(err))
}

func (l *Log) handled(ctx context.Context, style parley.Style, group string) {
	m, _ := parley.MessageFrom(ctx)
	l.line("handled", string(style), m.Address, string(m.ID), group)
}

func (l *Log) line(words ...string) {
	if l == nil {
		return
	}
	if _, err := l.file.WriteString(strings.Join(words, " ") + "\n"); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err == nil {
			l.err = fmt.Errorf("outside log: %w", err)
		}
	}
}
