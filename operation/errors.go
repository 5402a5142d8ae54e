package operation

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// Transient reports whether err says that the same may succeed later: a [transport.Error] with code Unavailable,
// ResourceExhausted, Aborted or DeadlineExceeded, that is not [Final].
func Transient(err error) bool {
	if _, ok := errors.AsType[finalError](err); ok {
		return false
	}
	e, ok := errors.AsType[*transport.Error](err)
	return ok && transientCode(e.Code)
}

// Final marks an error of a step: it is not tried again, whatever Task.Attempts says. Final(nil) is nil.
func Final(err error) error {
	if err == nil {
		return nil
	}
	return finalError{err}
}

// After marks an error of a step: it is tried again, whatever the error, but not before d has passed. It counts as an
// attempt, so that Task.Attempts still bounds it. After(nil, d) is nil.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return afterError{err, d}
}

// Again is what a step returns that has nothing wrong and is not ready: it is asked again after d (10 ms at the least),
// as often as it takes. It counts as no attempt.
func Again(d time.Duration) error { return againError{max(d, 10*time.Millisecond)} }

// Unencodable marks the error of a step that has done its work and whose result can't be kept. It parks the operation:
// the step will be done again when its code is mended. Unencodable(nil) is nil.
func Unencodable(err error) error {
	if err == nil {
		return nil
	}
	return unencodableError{err}
}

type (
	finalError struct{ error }
	afterError struct {
		error
		wait time.Duration
	}
	againError       struct{ wait time.Duration }
	unencodableError struct{ error }
)

func (e finalError) Unwrap() error       { return e.error }
func (e afterError) Unwrap() error       { return e.error }
func (e unencodableError) Unwrap() error { return e.error }
func (e againError) Error() string       { return fmt.Sprintf("not ready, to be asked again in %v", e.wait) }

func transientCode(c transport.Code) bool {
	switch c {
	case transport.Unavailable, transport.ResourceExhausted, transport.Aborted, transport.DeadlineExceeded:
		return true
	}
	return false
}

// verdict is what an attempt of a step has come to: a result, an error, or that it is not ready.
type verdict struct {
	output      []byte
	err         *transport.Error // as the journal keeps it
	retry       bool             // worth another attempt whatever Task.Attempts says: transient, or marked with After
	final       bool
	again       bool
	unencodable bool
	wait        time.Duration // not earlier than that
}

func judge(output []byte, err error) verdict {
	if err == nil {
		return verdict{output: output}
	}
	if again, ok := errors.AsType[againError](err); ok {
		return verdict{again: true, wait: again.wait}
	}
	v := verdict{err: kept(err), retry: Transient(err)}
	if e, ok := errors.AsType[*transport.Error](err); ok {
		v.wait = e.RetryAfter
	}
	if after, ok := errors.AsType[afterError](err); ok {
		v.retry, v.wait = true, max(v.wait, after.wait)
	}
	_, v.final = errors.AsType[finalError](err)
	_, v.unencodable = errors.AsType[unencodableError](err)
	return v
}

// kept is err as the journal keeps it, and so as code sees it, today and after a crash.
func kept(err error) *transport.Error {
	e, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return &transport.Error{Code: transport.Unknown, Message: err.Error()}
	}
	k := &transport.Error{Code: e.Code, Name: e.Name, Message: e.Message, Details: e.Details, Fields: e.Fields}
	if e.Cause != nil && !strings.Contains(k.Message, e.Cause.Error()) {
		k.Message = strings.TrimPrefix(k.Message+": "+e.Cause.Error(), ": ")
	}
	if k.Code == "" {
		k.Code = transport.Unknown
	}
	return k
}

// panicked is the error of an attempt that panicked.
func panicked(p any) *transport.Error {
	return &transport.Error{Code: transport.Internal, Message: fmt.Sprintf("panicked: %v", p)}
}

// refusal is an error that says: nothing was done, because of the journal or of the process.
func refusal(format string, args ...any) *transport.Error {
	return &transport.Error{Code: transport.Unavailable, NotSent: true, Message: fmt.Sprintf(format, args...)}
}
