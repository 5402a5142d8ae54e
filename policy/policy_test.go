package policy

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sent is one request that reached a scripted caller.
type sent struct {
	at       time.Duration // since the script began
	peer     string
	attempt  int
	timeLeft time.Duration // 0 = no deadline
}

// script is a Caller whose answers are scripted.
type script struct {
	answer func(ctx context.Context, peer string, n int) error // n from 1

	mu    sync.Mutex
	began time.Time
	calls []sent
}

func scripted(answer func(ctx context.Context, peer string, n int) error) *script {
	return &script{answer: answer, began: time.Now()}
}

// sequence answers with errs one after the other, and then well.
func sequence(errs ...error) *script {
	return scripted(func(_ context.Context, _ string, n int) error {
		if n <= len(errs) {
			return errs[n-1]
		}
		return nil
	})
}

func (s *script) Request(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
	s.mu.Lock()
	c := sent{at: time.Since(s.began), peer: peer, attempt: max(e.Attempt, 1)}
	if d, ok := ctx.Deadline(); ok {
		c.timeLeft = time.Until(d)
	}
	s.calls = append(s.calls, c)
	n := len(s.calls)
	s.mu.Unlock()
	if err := s.answer(ctx, peer, n); err != nil {
		return nil, err
	}
	return &transport.Envelope{ID: e.ID, Address: e.Address}, nil
}

func (s *script) Answer(context.Context, []transport.Endpoint, func(string)) error { return nil }
func (s *script) Close(context.Context) error                                      { return nil }

func (s *script) requests() []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sent(nil), s.calls...)
}

func unavailable() *transport.Error {
	return &transport.Error{Code: transport.Unavailable, Message: "503"}
}
func refusedConnection() *transport.Error {
	return &transport.Error{Code: transport.Unavailable, Message: "connection refused", NotSent: true}
}

// silence answers when the attempt's time is over.
func silence(ctx context.Context) error {
	<-ctx.Done()
	return &transport.Error{Code: transport.DeadlineExceeded, Message: "no answer", Cause: ctx.Err()}
}

func quote(peers ...string) Request {
	return Request{
		Envelope: &transport.Envelope{ID: "1", Address: "prices.v1.quote"}, Service: "prices",
		Peers: func() []string { return peers },
	}
}

func idempotent(r Request) Request {
	r.Idempotent = true
	return r
}

// notes is a Recorder that keeps what it is given.
type notes struct {
	mu  sync.Mutex
	all []ledger.Transition
}

func (n *notes) Record(t ledger.Transition, confirmed func()) {
	n.mu.Lock()
	n.all = append(n.all, t)
	n.mu.Unlock()
	if confirmed != nil {
		confirmed()
	}
}

func mustFail(t *testing.T, err error) *transport.Error {
	t.Helper()
	e, ok := err.(*transport.Error)
	if !ok {
		t.Fatalf("Do answered %v (%T); want an *transport.Error", err, err)
	}
	return e
}
