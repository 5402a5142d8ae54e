package transporttest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// mutantCaller is a Caller with one defect. The nil functions do what mem does.
type mutantCaller struct {
	*mem.Caller
	request func(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error)
	answer  func(ctx context.Context, endpoints []transport.Endpoint, ready func(string)) error
}

func (m *mutantCaller) Request(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
	if m.request != nil {
		return m.request(ctx, peer, e)
	}
	return m.Caller.Request(ctx, peer, e)
}

func (m *mutantCaller) Answer(ctx context.Context, endpoints []transport.Endpoint, ready func(string)) error {
	if m.answer != nil {
		return m.answer(ctx, endpoints, ready)
	}
	return m.Caller.Answer(ctx, endpoints, ready)
}

// handling is a defect around each handler.
func handling(around func(ctx context.Context, e *transport.Envelope, next func(context.Context, *transport.Envelope) (*transport.Envelope, error)) (*transport.Envelope, error)) func(*mutantCaller) {
	return func(m *mutantCaller) {
		m.answer = func(ctx context.Context, endpoints []transport.Endpoint, ready func(string)) error {
			other := make([]transport.Endpoint, len(endpoints))
			for i, p := range endpoints {
				other[i] = p
				other[i].Answer = func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
					return around(ctx, e, p.Answer)
				}
			}
			return m.Caller.Answer(ctx, other, ready)
		}
	}
}

// failing is a defect of the errors of Request.
func failing(change func(*transport.Error)) func(*mutantCaller) {
	return func(m *mutantCaller) {
		m.request = func(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
			got, err := m.Caller.Request(ctx, peer, e)
			if x, ok := errors.AsType[*transport.Error](err); ok {
				change(x)
			}
			return got, err
		}
	}
}

func TestEachDefectOfACallerBreaksANamedCheck(t *testing.T) {
	type next = func(context.Context, *transport.Envelope) (*transport.Envelope, error)
	var parked parking
	for _, c := range []struct {
		defect string
		breaks int
		found  string // in the detail
		make   func(*mutantCaller)
	}{
		{"the deadline does not travel", 1, "no deadline", handling(func(ctx context.Context, e *transport.Envelope, n next) (*transport.Envelope, error) {
			other, cancel := context.WithCancel(context.WithoutCancel(ctx))
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			return n(other, e)
		})},
		{"the deadline begins anew", 1, "second handler", handling(func(ctx context.Context, e *transport.Envelope, n next) (*transport.Envelope, error) {
			other, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			defer cancel()
			return n(other, e)
		})},
		{"cancellation does not travel", 2, "has not ended", handling(func(ctx context.Context, e *transport.Envelope, n next) (*transport.Envelope, error) {
			deadline, _ := ctx.Deadline()
			other, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
			defer cancel()
			return n(other, e)
		})},
		{"NotSent is never said", 3, "NotSent = false", failing(func(e *transport.Error) { e.NotSent = false })},
		{"NotSent is always said", 3, "NotSent = true", failing(func(e *transport.Error) { e.NotSent = true })},
		{"details are lost", 4, "out-of-stock", failing(func(e *transport.Error) { e.Details = nil })},
		{"fields are lost", 4, "Fields:[]", failing(func(e *transport.Error) { e.Fields = nil })},
		{"another peer's NotSent is passed on", 4, "NotSent = true", failing(func(e *transport.Error) { e.NotSent = e.Message == "nobody there" })},
		{"the text of a panic is told", 5, "without the text", handling(func(ctx context.Context, e *transport.Envelope, n next) (got *transport.Envelope, err error) {
			defer func() {
				if r := recover(); r != nil {
					err = &transport.Error{Code: transport.Internal, Message: fmt.Sprint(r)}
				}
			}()
			return n(ctx, e)
		})},
		{"the size is measured by the handler", 6, "NotSent = false", failing(func(e *transport.Error) {
			e.NotSent = e.NotSent && e.Code != transport.InvalidArgument && e.Code != transport.ResourceExhausted
		})},
		{"an unknown address is NotFound", 7, "not-found", failing(func(e *transport.Error) {
			if e.Code == transport.Unimplemented {
				e.Code = transport.NotFound
			}
		})},
		{"a second Answer of an address waits for the first", 8, "want an error", func(m *mutantCaller) {
			m.answer = func(ctx context.Context, endpoints []transport.Endpoint, ready func(string)) error {
				err := m.Caller.Answer(ctx, endpoints, ready)
				if err != nil && !errors.Is(err, transport.ErrClosed) {
					<-ctx.Done()
					return nil
				}
				return err
			}
		}},
		{"Answer does not wait for its handlers", 9, "while requests ran", func(m *mutantCaller) {
			m.answer = func(ctx context.Context, endpoints []transport.Endpoint, ready func(string)) error {
				ended := make(chan error, 1)
				go func() { ended <- m.Caller.Answer(ctx, endpoints, ready) }()
				select {
				case err := <-ended:
					return err
				case <-ctx.Done():
					return nil
				}
			}
		}},
		{"a drain ends the contexts of handlers", 9, "has ended while Answer drains", func(m *mutantCaller) {
			m.answer = func(drain context.Context, endpoints []transport.Endpoint, ready func(string)) error {
				handling(func(ctx context.Context, e *transport.Envelope, n next) (*transport.Envelope, error) {
					other, cancel := context.WithCancel(ctx)
					defer cancel()
					defer context.AfterFunc(drain, cancel)()
					return n(other, e)
				})(m)
				return m.answer(drain, endpoints, ready)
			}
		}},
		{"answers are mixed up", 10, "want the answer", mixing()},
		{"header values are trimmed", 11, "Headers", handling(func(ctx context.Context, e *transport.Envelope, n next) (*transport.Envelope, error) {
			for k, v := range e.Headers {
				e.Headers[k] = strings.TrimSpace(v)
			}
			return n(ctx, e)
		})},
		{"Close leaves a goroutine", 12, "outlive Close", func(*mutantCaller) { go parked.wait() }},
		{"the status of an answer is lost", 13, `"status":"202"`, answering(func(e *transport.Envelope) { delete(e.Headers, transport.HeaderStatus) })},
		{"the status is told of an ordinary answer", 13, `"status":"200"`, requesting(func(e *transport.Envelope) {
			if e.Headers[transport.HeaderStatus] == "" {
				e.Headers = map[string]string{transport.HeaderStatus: "200"}
			}
		})},
		{"a location is made absolute and stays so", 13, `"location":"https://a/conform`, answering(func(e *transport.Envelope) {
			if path := e.Headers[transport.HeaderLocation]; strings.HasPrefix(path, "/conform") {
				e.Headers[transport.HeaderLocation] = "https://a" + path
			}
		})},
		{"a reply displaces the other headers", 13, `"tenant":"a"`, answering(func(e *transport.Envelope) {
			if e.Headers[transport.HeaderStatus] != "" {
				delete(e.Headers, "tenant")
			}
		})},
		{"a tag is unquoted as a path", 13, `"etag":"b"`, answering(func(e *transport.Envelope) {
			if tag := e.Headers[transport.HeaderETag]; strings.Contains(tag, "/") {
				e.Headers[transport.HeaderETag] = tag[strings.Index(tag, "/")+1:]
			}
		})},
		{"not modified is an error", 13, "unknown", func(m *mutantCaller) {
			m.request = func(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
				got, err := m.Caller.Request(ctx, peer, e)
				if err == nil && got.Headers[transport.HeaderStatus] == "304" {
					return nil, &transport.Error{Code: transport.Unknown}
				}
				return got, err
			}
		}},
		{"an invalid reply is left out", 13, "want a *transport.Error", answering(func(e *transport.Envelope) {
			if _, err := transport.ReplyOf(e); err != nil {
				e.Headers = nil
			}
		})},
		{"preferences do not reach the handler", 13, "the handler got headers", handling(func(ctx context.Context, e *transport.Envelope, n next) (*transport.Envelope, error) {
			delete(e.Headers, transport.HeaderPrefer)
			return n(ctx, e)
		})},
	} {
		t.Run(fmt.Sprintf("%s: %d", c.defect, c.breaks), func(t *testing.T) {
			target := memoryCalls(func(b *mem.Caller) transport.Caller {
				m := &mutantCaller{Caller: b}
				c.make(m)
				return m
			})
			wantBroken(t, &parked, transporttest.Callers(), target, c.breaks, c.found)
		})
	}
}

// answering is a defect of the answers that leave the callee.
func answering(change func(*transport.Envelope)) func(*mutantCaller) {
	return handling(func(ctx context.Context, e *transport.Envelope, n func(context.Context, *transport.Envelope) (*transport.Envelope, error)) (*transport.Envelope, error) {
		got, err := n(ctx, e)
		if err != nil {
			return nil, err
		}
		other := *got // the check has its own
		other.Headers = maps.Clone(got.Headers)
		change(&other)
		return &other, nil
	})
}

// requesting is a defect of the answers that reach the caller.
func requesting(change func(*transport.Envelope)) func(*mutantCaller) {
	return func(m *mutantCaller) {
		m.request = func(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
			got, err := m.Caller.Request(ctx, peer, e)
			if err == nil {
				change(got)
			}
			return got, err
		}
	}
}

// mixing answers each 30th request with the answer of the one before.
func mixing() func(*mutantCaller) {
	var mu sync.Mutex
	var last *transport.Envelope
	var count atomic.Int32
	return func(m *mutantCaller) {
		m.request = func(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
			got, err := m.Caller.Request(ctx, peer, e)
			mu.Lock()
			defer mu.Unlock()
			if count.Add(1)%30 == 0 && last != nil {
				return last, err
			}
			last = got
			return got, err
		}
	}
}
