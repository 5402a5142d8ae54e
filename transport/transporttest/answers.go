package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

func oversizeCalls(ctx context.Context, s *Scene, p Peers) {
	server, user := p.connect(ctx, s), p.connect(ctx, s)
	in, out := s.Address(), s.Address()
	var handled atomic.Int32
	a := s.answer(ctx, server, map[string]answer{
		in: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			handled.Add(1)
			return &transport.Envelope{Body: strconv.AppendInt(nil, int64(len(e.Body)), 10)}, nil
		},
		out: func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
			return &transport.Envelope{Body: digits(p.MaxBytes + 1)}, nil
		},
	})
	send := func(size int) (*transport.Envelope, error) {
		return user.Request(ctx, a.peer, &transport.Envelope{ID: "sized", Address: in, Body: digits(size)})
	}
	for _, size := range []int{p.MaxBytes + 1, p.MaxBytes * 8} {
		_, err := send(size)
		what := fmt.Sprintf("a request of %d bytes of %d allowed", size, p.MaxBytes)
		s.notSent(what, s.failed(what, err, transport.InvalidArgument, transport.ResourceExhausted), true)
		if got := handled.Load(); got != 0 {
			s.Errorf("%s: the handler ran %d times; want never", what, got)
		}
	}
	if got, err := send(p.MaxBytes); err != nil || string(got.Body) != strconv.Itoa(p.MaxBytes) {
		s.Errorf("a request of exactly %d bytes: got %v; want it answered", p.MaxBytes, err)
	}
	_, err := call(ctx, user, a.peer, out, "large")
	if e, ok := errors.AsType[*transport.Error](err); !ok || e.NotSent {
		s.Errorf("an answer above the limit: got %v; want an *Error without NotSent, as the handler ran", err)
	}
	s.works(ctx, "a call after oversized ones", user, a.peer, in)
}

// digits is a JSON document of exactly n bytes.
func digits(n int) []byte { return bytes.Repeat([]byte("1"), n) }

func unknownAddress(ctx context.Context, s *Scene, p Peers) {
	server, user := p.connect(ctx, s), p.connect(ctx, s)
	known := s.Address()
	a := s.answer(ctx, server, map[string]answer{known: echo})
	for _, address := range []string{s.Address(), known + ".more", strings.TrimSuffix(known, known[strings.LastIndex(known, "."):])} {
		_, err := call(ctx, user, a.peer, address, "unknown")
		s.notSent("an address that nobody answers", s.failed("a call to "+address, err, transport.Unimplemented), true)
	}
	s.works(ctx, "a call to the address beside it", user, a.peer, known)
}

func severalAnswers(ctx context.Context, s *Scene, p Peers) {
	server, user := p.connect(ctx, s), p.connect(ctx, s)
	one, two, three := s.Address(), s.Address(), s.Address()
	first := s.answer(ctx, server, map[string]answer{one: echo})
	second := s.answer(ctx, server, map[string]answer{two: echo})
	s.works(ctx, "the first Answer", user, first.peer, one)
	s.works(ctx, "the second Answer", user, second.peer, two)

	refused, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	endpoints := []transport.Endpoint{{Address: three, Answer: echo}, {Address: one, Answer: echo}}
	if err := server.Answer(refused, endpoints, func(string) { s.Errorf("ready was called; want an error before") }); err == nil {
		s.Errorf("Answer of an address that is served already = nil; want an error")
	}
	twice := []transport.Endpoint{{Address: three, Answer: echo}, {Address: three, Answer: echo}}
	if err := server.Answer(refused, twice, nil); err == nil || refused.Err() != nil {
		s.Errorf("Answer of one address twice = %v; want an error at once", err)
	}
	_, err := call(ctx, user, first.peer, three, "three")
	_ = s.failed("an address of the refused Answer", err, transport.Unimplemented)

	first.stop(ctx, s)
	s.works(ctx, "the second Answer after the first has ended", user, second.peer, two)
	_, err = call(ctx, user, second.peer, one, "one")
	s.notSent("an address of the ended Answer", s.failed("an address of the ended Answer", err, transport.Unimplemented, transport.Unavailable), true)
	again := s.answer(ctx, server, map[string]answer{one: echo, three: echo})
	s.works(ctx, "an address that was free again", user, again.peer, one)
}

func drain(ctx context.Context, s *Scene, p Peers) {
	server, user, address := p.connect(ctx, s), p.connect(ctx, s), s.Address()
	const running = 5
	begun, release := make(chan struct{}, 100), make(chan struct{})
	a := s.answer(ctx, server, map[string]answer{address: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		begun <- struct{}{}
		<-release
		if ctx.Err() != nil {
			s.Errorf("the context of a handler has ended while Answer drains (%v); want it to go on", context.Cause(ctx))
		}
		return echo(ctx, e)
	}})
	var calls sync.WaitGroup
	for i := range running {
		calls.Go(func() {
			if _, err := call(ctx, user, a.peer, address, fmt.Sprintf("running-%d", i)); err != nil {
				s.Errorf("a call that ran when the drain began: got %v; want its answer", err)
			}
		})
	}
	for range running {
		<-begun
	}
	a.cancel()
	select {
	case <-a.ended:
		s.Errorf("Answer returned %v while requests ran; want it to wait for them", a.err)
	case <-time.After(50 * time.Millisecond):
	}
	for _, c := range []transport.Caller{user, p.connect(ctx, s)} { // over the connections that exist, and over new ones
		soon, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := call(soon, c, a.peer, address, "late")
		cancel()
		s.notSent("a call while Answer drains", s.failed("a call while Answer drains", err, transport.Unavailable), true)
	}
	if len(begun) > 0 {
		s.Errorf("a request was begun after the drain had; want none")
	}
	close(release)
	calls.Wait()
	a.wait(ctx, s)
}

func concurrentCalls(ctx context.Context, s *Scene, p Peers) {
	server, user, address := p.connect(ctx, s), p.connect(ctx, s), s.Address()
	const callers = 100
	var together sync.WaitGroup // all are in their handlers at once
	together.Add(callers)
	var once [callers]sync.Once
	a := s.answer(ctx, server, map[string]answer{address: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		var i int
		if _, err := fmt.Sscanf(e.ID, "caller-%d-", &i); err != nil {
			return nil, err
		}
		once[i].Do(together.Done)
		together.Wait()
		return echo(ctx, e)
	}})
	var calls sync.WaitGroup
	for i := range callers {
		calls.Go(func() {
			for n := range s.Count(10, 200) {
				id := fmt.Sprintf("caller-%d-%d", i, n)
				got, err := call(ctx, user, a.peer, address, id)
				if want := `{"id":"` + id + `"}`; err != nil || string(got.Body) != want {
					s.Errorf("call %s: got %v; want the answer %s", id, err, want)
					once[i].Do(together.Done)
					return
				}
			}
		})
	}
	calls.Wait()
}

func envelopesCross(ctx context.Context, s *Scene, p Peers) {
	server, user, address := p.connect(ctx, s), p.connect(ctx, s), s.Address()
	seen := make(chan *transport.Envelope, 1)
	a := s.answer(ctx, server, map[string]answer{address: func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		seen <- e
		return echo(ctx, e)
	}})
	exchange := func(e *transport.Envelope) {
		got, err := user.Request(ctx, a.peer, e)
		if err != nil {
			s.Errorf("a request with headers %.80q, key %.80q: %v; want an answer", e.Headers, e.Key, err)
			return
		}
		for _, what := range Differences(e, <-seen) {
			s.Errorf("request: %s", what)
		}
		if !bytes.Equal(got.Body, e.Body) || !maps.Equal(got.Headers, e.Headers) {
			s.Errorf("answer: got headers %.100q, %d bytes; want %.100q, %d bytes", got.Headers, len(got.Body), e.Headers, len(e.Body))
		}
	}
	for i, v := range texts() {
		if len(v) > 1000 { // HTTP servers bound all headers of a request together
			v = strings.ToValidUTF8(v[:1000], "")
		}
		exchange(&transport.Envelope{
			ID: fmt.Sprintf("text-%d", i), Source: "conform", Address: address, Key: v, Correlation: v, Causation: v, Time: time.Now(), Attempt: 1 + i%3,
			Trace:   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			Headers: map[string]string{"tenant": v, "tracestate": "rojo=00f067aa0ba902b7", "baggage": "userId=Am%C3%A9lie"},
			Body:    []byte(`"text"`),
		})
	}
	for i, body := range [][]byte{nil, []byte("1"), []byte(`{"a":"ü\u0000"}`), []byte("\xff\x00\r\n"), digits(p.MaxBytes)} {
		exchange(&transport.Envelope{
			ID: fmt.Sprintf("body-%d", i), Source: "conform", Address: address, Time: time.Now(), ContentType: "application/octet-stream", Body: body,
		})
	}
	_, err := user.Request(ctx, a.peer, &transport.Envelope{ID: "bad", Address: address, Headers: map[string]string{"h": "a\r\nb: c"}})
	s.notSent("a header with a line break", s.failed("a header with a line break", err, transport.InvalidArgument), true)
}

func callersLeakNothing(ctx context.Context, s *Scene, p Peers) {
	address := s.Address()
	s.leaks(ctx, s.Count(20, 100), func(ctx context.Context, i int) {
		server, err := p.Open(ctx)
		if err != nil {
			s.Fatalf("opening a caller for the %d. time: %v", i+1, err)
		}
		user, err := p.Open(ctx)
		if err != nil {
			s.Fatalf("opening a caller for the %d. time: %v", i+1, err)
		}
		a := s.answer(ctx, server, map[string]answer{address: echo})
		s.works(ctx, "a call", user, a.peer, address)
		a.stop(ctx, s)
		for _, c := range []transport.Caller{user, server} {
			if err := c.Close(ctx); err != nil {
				s.Errorf("Close = %v; want nil", err)
			}
		}
	})
}
