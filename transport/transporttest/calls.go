package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

// rounding is what a deadline may gain on its way, as protocols carry milliseconds.
const rounding = 2 * time.Millisecond

func deadlineTravels(ctx context.Context, s *Scene, p Peers) {
	front, back, user := p.connect(ctx, s), p.connect(ctx, s), p.connect(ctx, s)
	first, second, slow, quick := s.Address(), s.Address(), s.Address(), s.Address()
	left := make(chan time.Duration, 2)
	note := func(ctx context.Context) {
		deadline, ok := ctx.Deadline()
		if !ok {
			s.Errorf("the handler's context has no deadline; want the caller's")
		}
		left <- time.Until(deadline)
	}
	stopped, release := make(chan struct{}, 1), make(chan struct{})
	behind := s.answer(ctx, back, map[string]answer{
		second: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			note(ctx)
			return echo(ctx, e)
		},
		slow: func(ctx context.Context, _ *transport.Envelope) (*transport.Envelope, error) {
			<-ctx.Done()
			stopped <- struct{}{}
			<-release // its answer would race with the caller's own deadline
			return nil, ctx.Err()
		},
		quick: echo,
	})
	entry := s.answer(ctx, front, map[string]answer{
		first: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			note(ctx)
			time.Sleep(50 * time.Millisecond) // a handler's work
			return call(ctx, front, behind.peer, second, e.ID)
		},
	})
	const given = 3 * time.Second
	within, cancel := context.WithTimeout(ctx, given)
	defer cancel()
	if _, err := call(within, user, entry.peer, first, "chain"); err != nil {
		s.Fatalf("a chain of two calls: %v", err)
	}
	one, two := <-left, <-left
	if one <= 0 || one > given+rounding {
		s.Errorf("got %v left at the handler; want more than 0 and at most %v", one, given)
	}
	if want := one - 50*time.Millisecond + rounding; two <= 0 || two > want {
		s.Errorf("got %v left at the second handler; want more than 0 and at most %v, what the first had left", two, want)
	}

	s.works(ctx, "a call", user, behind.peer, quick) // so that the next one finds a connection
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	deadline, _ := short.Deadline()
	_, err := call(short, user, behind.peer, slow, "slow")
	close(release)
	e := s.failed("a call whose deadline passes", err, transport.DeadlineExceeded)
	s.notSent("a call whose deadline passes in the handler", e, false)
	if late := time.Since(deadline); late > time.Second {
		s.Errorf("got the error %v after the deadline; want it when that is over", late)
	}
	select {
	case <-stopped:
	case <-ctx.Done():
		s.Errorf("the handler's context has not ended; want it to end with the deadline")
	}
}

func cancellationTravels(ctx context.Context, s *Scene, p Peers) {
	server, user := p.connect(ctx, s), p.connect(ctx, s)
	address, begun, stopped := s.Address(), make(chan struct{}), make(chan struct{})
	a := s.answer(ctx, server, map[string]answer{address: func(ctx context.Context, _ *transport.Envelope) (*transport.Envelope, error) {
		close(begun)
		<-ctx.Done()
		close(stopped)
		return nil, ctx.Err()
	}})
	impatient, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	s.Go(func() {
		select {
		case <-begun:
			cancel()
		case <-impatient.Done():
		}
	})
	_, err := call(impatient, user, a.peer, address, "cancel")
	e := s.failed("a call that is cancelled while the handler runs", err, transport.Canceled)
	s.notSent("a call that is cancelled while the handler runs", e, false)
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		s.Errorf("the handler's context has not ended 10s after the caller gave up; want it to end")
	}
}

func notSentIsTrue(ctx context.Context, s *Scene, p Peers) {
	user, address := p.connect(ctx, s), s.Address()
	var handled atomic.Int32
	count := func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		handled.Add(1)
		return echo(ctx, e)
	}
	short := p.connect(ctx, s)
	gone := s.answer(ctx, short, map[string]answer{address: count})
	s.works(ctx, "a call", user, gone.peer, address)

	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := call(done, user, gone.peer, address, "done")
	s.notSent("a call with a context that is done", s.failed("a call with a context that is done", err, transport.Canceled), true)

	gone.stop(ctx, s)
	if err := short.Close(ctx); err != nil {
		s.Errorf("Close = %v; want nil", err)
	}
	// It goes over the connection that the first call left, perhaps, which may break unexplained.
	_, err = call(ctx, user, gone.peer, address, "nobody")
	_ = s.failed("the first call after the peer has gone", err, transport.Unavailable)
	for _, c := range []transport.Caller{user, p.connect(ctx, s)} {
		_, err := call(ctx, c, gone.peer, address, "nobody")
		s.notSent("a call when nobody listens", s.failed("a call when nobody listens", err, transport.Unavailable), true)
	}
	if got := handled.Load(); got != 1 {
		s.Errorf("handlers ran %d times; want once", got)
	}

	server, begun, release := p.connect(ctx, s), make(chan struct{}), make(chan struct{})
	a := s.answer(ctx, server, map[string]answer{address: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		close(begun)
		<-release
		return echo(ctx, e)
	}})
	s.Go(func() {
		select {
		case <-begun:
			hurry, cancel := context.WithCancel(ctx)
			cancel()
			_ = server.Close(hurry) // it leaves a request without its answer, and may say so
		case <-ctx.Done():
		}
	})
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = call(within, user, a.peer, address, "cut")
	e := s.failed("a call whose peer dies while the handler runs", err, transport.Unavailable, transport.Unknown, transport.DeadlineExceeded, transport.Canceled)
	s.notSent("a call whose peer dies while the handler runs", e, false)
	close(release)
	s.closedCaller(ctx, server, a.peer, address)
}

func (s *Scene) closedCaller(ctx context.Context, c transport.Caller, peer, address string) {
	_ = c.Close(ctx)
	if err := c.Close(ctx); err != nil {
		s.Errorf("Close of a closed caller = %v; want nil", err)
	}
	_, err := call(ctx, c, peer, address, "closed")
	if e, ok := errors.AsType[*transport.Error](err); !ok || !e.NotSent || !errors.Is(err, transport.ErrClosed) {
		s.Errorf("Request on a closed caller = %v; want an *Error with NotSent that wraps ErrClosed", err)
	}
	err = c.Answer(ctx, []transport.Endpoint{{Address: address, Answer: echo}}, nil)
	if !errors.Is(err, transport.ErrClosed) {
		s.Errorf("Answer on a closed caller = %v; want ErrClosed", err)
	}
}

func errorsCross(ctx context.Context, s *Scene, p Peers) {
	server, user, address := p.connect(ctx, s), p.connect(ctx, s), s.Address()
	codes := []transport.Code{transport.Canceled, transport.InvalidArgument, transport.DeadlineExceeded, transport.NotFound,
		transport.AlreadyExists, transport.PermissionDenied, transport.Unauthenticated, transport.ResourceExhausted,
		transport.FailedPrecondition, transport.Aborted, transport.Unimplemented, transport.Unavailable, transport.Internal, transport.Unknown}
	var list []*transport.Error
	for _, code := range codes {
		list = append(list, &transport.Error{Code: code, Message: "why: ü \"" + string(code) + "\""})
	}
	list = append(list,
		&transport.Error{Code: transport.FailedPrecondition, Name: "orders.v1.out-of-stock", Message: "2 left", Details: []byte(`{"left":2,"sku":"a b ü"}`)},
		&transport.Error{Code: transport.InvalidArgument, Fields: []transport.Field{{Path: "items[0].sku", Message: "want a sku"}, {Path: "", Message: "too much"}}},
		&transport.Error{Code: transport.Unavailable, RetryAfter: 3 * time.Second},
		&transport.Error{Code: transport.Unavailable, NoRetry: true, Message: "retried in vain"},
		// A handler that passes on what became of a call of its own:
		&transport.Error{Code: transport.Unavailable, NotSent: true, Peer: "elsewhere", Address: "other.v1.thing", Message: "nobody there"},
	)
	a := s.answer(ctx, server, map[string]answer{address: func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		var i int
		if _, err := fmt.Sscanf(e.ID, "error-%d", &i); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("wrapped: %w", list[i])
	}})
	for i, want := range list {
		_, err := call(ctx, user, a.peer, address, fmt.Sprintf("error-%d", i))
		got := s.failed("a handler's "+want.Error(), err, want.Code)
		if got.Name != want.Name || !strings.Contains(got.Message, want.Message) || !bytes.Equal(got.Details, want.Details) ||
			fmt.Sprint(got.Fields) != fmt.Sprint(want.Fields) || got.RetryAfter != want.RetryAfter && want.RetryAfter > 0 || got.NoRetry != want.NoRetry {
			s.Errorf("got error %+v; want %+v", *got, *want)
		}
		s.notSent("an error that a handler returned", got, false)
		if got.Address != address || got.Peer != a.peer || got.ID != fmt.Sprintf("error-%d", i) {
			s.Errorf("got an error about address %q, id %q, peer %q; want %q, error-%d, %q", got.Address, got.ID, got.Peer, address, i, a.peer)
		}
	}
}

func panicsAreInternal(ctx context.Context, s *Scene, p Peers) {
	server, user := p.connect(ctx, s), p.connect(ctx, s)
	panics, fails, good := s.Address(), s.Address(), s.Address()
	const secret = "password-4711"
	a := s.answer(ctx, server, map[string]answer{
		panics: func(context.Context, *transport.Envelope) (*transport.Envelope, error) { panic(secret) },
		fails: func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
			return nil, errors.New(secret)
		},
		good: echo,
	})
	for what, address := range map[string]string{"a panic": panics, "an error that is no *Error": fails} {
		for range 3 {
			_, err := call(ctx, user, a.peer, address, "bad")
			e := s.failed(what, err, transport.Internal)
			s.notSent(what, e, false)
			if err != nil && strings.Contains(fmt.Sprintf("%v %+v %s", err, *e, e.Details), secret) {
				s.Errorf("%s: got %v; want an error without the text of the handler's", what, err)
			}
		}
	}
	s.works(ctx, "a call after panics", user, a.peer, good)
}
