package delivery

import (
	"errors"
	"fmt"
	"hash/fnv"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// Why a handler's context ended before its deadline.
var (
	// ErrDrained is the cause once the drain is over.
	ErrDrained = errors.New("the service stops and the time to drain is over")
	// ErrRevoked is the cause once another instance has the message's partition.
	ErrRevoked = errors.New("another instance has the partition now")
)

// Permanent marks a handler's error as useless to retry: the message goes to the dead letters at once.
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

// IsPermanent reports whether err, or an error that it wraps, was made by [Permanent].
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*permanent](err)
	return ok
}

// RetryAfter marks a handler's error: the next attempt comes not earlier than d from now, and later if the schedule
// says so. A keyed message, whose successors wait meanwhile, waits 5 minutes at the most; any other waits as long as
// the broker carries a delay. RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfter{err, d}
}

// RetryAfterOf is the longest time that [RetryAfter] put into err; 0 = none.
func RetryAfterOf(err error) time.Duration {
	if r, ok := errors.AsType[*retryAfter](err); ok {
		return max(r.after, RetryAfterOf(r.error), 0)
	}
	return 0
}

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

type retryAfter struct {
	error
	after time.Duration
}

func (r *retryAfter) Unwrap() error { return r.error }

// crash is a handler that did not return: it panicked, or ended its goroutine.
type crash struct {
	text  string
	stack string // see DeadLetter.Stack
}

func (c *crash) Error() string { return c.text }

// crashed makes an error of what recover gave. It is called by the function that was deferred.
func crashed(recovered any) *crash {
	return &crash{text: fmt.Sprintf("panic: %v", recovered), stack: fingerprint()}
}

var errGoexit = &crash{text: "the handler ended its goroutine (runtime.Goexit)"}

// fingerprint names the function that panicked and hashes the way to it, from where delivery called the handler.
func fingerprint() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	h := fnv.New32a()
	where, panicked := "", false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked, where = true, ""
			h.Reset()
		case !panicked || strings.HasPrefix(f.Function, "runtime."):
		case strings.HasSuffix(f.Function, "/delivery.(*Consumer).guard"):
			more = false
		default:
			if where == "" {
				where = f.Function
			}
			_, _ = fmt.Fprintf(h, "%s:%d\n", f.Function, f.Line)
		}
		if !more {
			return fmt.Sprintf("%s#%08x", where, h.Sum32())
		}
	}
}

// maxReason is the longest text of an error that the ledger and dead letters keep, in bytes.
const maxReason = 1 << 10

// reason is the text of err, fit to be kept.
func reason(err error) string {
	s := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	s = s[:maxReason]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
