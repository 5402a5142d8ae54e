package mem_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

const quote = "orders.v1.quote"

type answerFunc = func(context.Context, *transport.Envelope) (*transport.Envelope, error)

// answers is a running Answer.
type answers struct {
	rig   *rig
	stop  context.CancelFunc
	ended chan error
}

func (r *rig) answer(p *mem.Process, address string, f answerFunc) *answers {
	ctx, cancel := context.WithCancel(r.Context())
	a := &answers{rig: r, stop: cancel, ended: make(chan error, 1)}
	go func() {
		a.ended <- p.Caller().Answer(ctx, []transport.Endpoint{{Address: address, Answer: f}}, nil)
	}()
	r.Cleanup(p.Kill)
	synctest.Wait()
	return a
}

var errAnswers = errors.New("still answers")

func (a *answers) result() error {
	synctest.Wait()
	select {
	case err := <-a.ended:
		return err
	default:
		return errAnswers
	}
}

// ask sends a request from the client to peer.
func (r *rig) ask(ctx context.Context, peer string) (*transport.Envelope, *transport.Error) {
	return request(ctx, r.client, peer)
}

func request(ctx context.Context, p *mem.Process, peer string) (*transport.Envelope, *transport.Error) {
	e, err := p.Caller().Request(ctx, peer, &transport.Envelope{ID: "q1", Address: quote, Body: []byte("how much?")})
	known, _ := errors.AsType[*transport.Error](err)
	return e, known
}

// asked is what a request in the background came to.
type asked struct {
	envelope *transport.Envelope
	err      *transport.Error
}

func (r *rig) askLater(p *mem.Process, peer string) <-chan asked {
	result := make(chan asked, 1)
	go func() {
		e, err := request(r.Context(), p, peer)
		result <- asked{e, err}
	}()
	synctest.Wait()
	return result
}

func echo(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	return &transport.Envelope{ID: e.ID, Address: e.Address, Body: e.Body}, nil
}

// untilDone is a handler that runs until its context ends.
func untilDone(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	<-ctx.Done()
	return echo(ctx, e)
}

func TestARequestIsAnsweredByThePeer(t *testing.T) {
	bubble(t, func(r *rig) {
		var peer string
		ctx, cancel := context.WithCancel(r.Context())
		ended := make(chan error, 1)
		body := []byte("42")
		go func() {
			ended <- r.fabric.Process("orders-1").Caller().Answer(ctx, []transport.Endpoint{{
				Address: quote,
				Answer: func(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
					if string(e.Body) != "how much?" {
						r.Errorf("request body = %q, want how much?", e.Body)
					}
					e.Body[0] = 'X'
					return &transport.Envelope{ID: "a1", Address: quote, Body: body}, nil
				},
			}}, func(p string) { peer = p })
		}()
		synctest.Wait()
		if peer != "mem://orders-1" {
			r.Errorf("peer = %q, want mem://orders-1", peer)
		}
		mine := &transport.Envelope{ID: "q1", Address: quote, Body: []byte("how much?")}
		e, err := r.client.Caller().Request(r.Context(), peer, mine)
		if err != nil {
			r.Fatalf("Request = %v, want an answer", err)
		}
		if string(mine.Body) != "how much?" {
			r.Errorf("the caller's envelope has body %q after the request, want how much?", mine.Body)
		}
		body[0] = 'X'
		if string(e.Body) != "42" {
			r.Errorf("answer = %q, want 42, the caller's own", e.Body)
		}
		cancel()
		if err := <-ended; err != nil {
			r.Errorf("Answer = %v, want nil after its context is done", err)
		}
		if _, err := r.ask(r.Context(), peer); err == nil || err.Code != transport.Unavailable || !err.NotSent {
			r.Errorf("Request after that = %v, want unavailable and not sent", err)
		}
	})
}

func TestAnErrorOfAHandlerCrossesAsItShould(t *testing.T) {
	for name, c := range map[string]struct {
		answer answerFunc
		want   transport.Error
	}{
		"declared": {
			func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
				return nil, &transport.Error{Code: transport.FailedPrecondition, Name: "orders.v1.out-of-stock", Message: "none left",
					Details: []byte(`{"left":0}`), Fields: []transport.Field{{Path: "sku", Message: "gone"}}, RetryAfter: time.Second,
					NoRetry: true, NotSent: true, Cause: errors.New("secret")}
			},
			transport.Error{Code: transport.FailedPrecondition, Name: "orders.v1.out-of-stock", Message: "none left",
				Details: []byte(`{"left":0}`), Fields: []transport.Field{{Path: "sku", Message: "gone"}}, RetryAfter: time.Second, NoRetry: true, NotSent: true},
		},
		"any other": {
			func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
				return nil, errors.New("secret")
			},
			transport.Error{Code: transport.Internal},
		},
		"nothing at all": {
			func(context.Context, *transport.Envelope) (*transport.Envelope, error) { return nil, nil },
			transport.Error{Code: transport.Internal},
		},
		"panic": {
			func(context.Context, *transport.Envelope) (*transport.Envelope, error) { panic("secret") },
			transport.Error{Code: transport.Internal},
		},
		"goexit": {
			func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
				runtime.Goexit()
				return nil, nil
			},
			transport.Error{Code: transport.Internal},
		},
		"too large": {
			func(context.Context, *transport.Envelope) (*transport.Envelope, error) {
				return &transport.Envelope{Body: make([]byte, transport.DefaultMaxBody+1)}, nil
			},
			transport.Error{Code: transport.Internal, Message: "answer of 262145 bytes, the wire takes 262144"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.answer(r.fabric.Process("orders-1"), quote, c.answer)
				_, err := r.ask(r.Context(), "mem://orders-1")
				if err == nil {
					r.Fatal("Request = nil, want an error")
				}
				if err.Address != quote || err.ID != "q1" || err.Peer != "mem://orders-1" {
					r.Errorf("error is about %q, %q, %q; want address, id and peer of the request", err.Address, err.ID, err.Peer)
				}
				w := c.want
				if err.Code != w.Code || err.Name != w.Name || err.Message != w.Message || string(err.Details) != string(w.Details) ||
					len(err.Fields) != len(w.Fields) || err.RetryAfter != w.RetryAfter || err.NoRetry != w.NoRetry || err.NotSent != w.NotSent {
					r.Errorf("Request = %#v, want %#v", err, w)
				}
				if strings.Contains(err.Error(), "secret") || err.Cause != nil {
					r.Errorf("Request = %v, want nothing of the callee's inside", err)
				}
			})
		})
	}
}

func TestARequestThatNoHandlerGotSaysSo(t *testing.T) {
	bubble(t, func(r *rig) {
		r.answer(r.fabric.Process("stock-1"), "stock.v1.level", echo)
		over, cancel := context.WithTimeout(r.Context(), -1)
		defer cancel()
		closed := r.fabric.Process("closed")
		if err := closed.Caller().Close(r.Context()); err != nil {
			r.Errorf("Close = %v, want nil", err)
		}
		for name, c := range map[string]struct {
			ctx  context.Context
			from *mem.Process
			peer string
			code transport.Code
		}{
			"no such process":   {r.Context(), r.client, "mem://nobody", transport.Unavailable},
			"another network":   {r.Context(), r.client, "http://stock-1", transport.Unavailable},
			"answers nothing":   {r.Context(), r.client, "mem://client", transport.Unavailable},
			"another address":   {r.Context(), r.client, "mem://stock-1", transport.Unimplemented},
			"deadline is over":  {over, r.client, "mem://stock-1", transport.DeadlineExceeded},
			"caller is closed":  {r.Context(), closed, "mem://stock-1", transport.Unavailable},
			"callee was closed": {r.Context(), r.client, "mem://closed", transport.Unavailable},
		} {
			if _, err := request(c.ctx, c.from, c.peer); err == nil || err.Code != c.code || !err.NotSent {
				r.Errorf("%s: Request = %#v, want %s and not sent", name, err, c.code)
			}
		}
		_, err := r.client.Caller().Request(r.Context(), "mem://stock-1", &transport.Envelope{Address: quote})
		if transport.CodeOf(err) != transport.InvalidArgument {
			r.Errorf("Request without id = %v, want invalid argument", err)
		}
	})
}

func TestTheDeadlineTravelsAndTheHandlerEndsWithIt(t *testing.T) {
	bubble(t, func(r *rig) {
		ended := make(chan error, 1)
		a := r.answer(r.fabric.Process("orders-1"), quote, func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			if d, ok := ctx.Deadline(); !ok || time.Until(d) != minute {
				r.Errorf("deadline of the handler = %v, want a minute from now", d)
			}
			<-ctx.Done()
			ended <- ctx.Err()
			time.Sleep(minute) // cleaning up
			return echo(ctx, e)
		})
		ctx, cancel := context.WithTimeout(r.Context(), minute)
		defer cancel()
		if _, err := r.ask(ctx, "mem://orders-1"); err == nil || err.Code != transport.DeadlineExceeded || err.NotSent {
			r.Errorf("Request = %#v, want deadline exceeded, perhaps sent", err)
		}
		if err := <-ended; err != context.DeadlineExceeded {
			r.Errorf("context of the handler ended with %v, want deadline exceeded", err)
		}
		a.stop()
		if err := a.result(); err != errAnswers {
			r.Errorf("Answer = %v while a handler runs, want it to wait", err)
		}
		if _, err := r.ask(r.Context(), "mem://orders-1"); err == nil || err.Code != transport.Unavailable || !err.NotSent {
			r.Errorf("Request to an Answer that drains = %#v, want unavailable and not sent", err)
		}
		time.Sleep(minute)
		if err := a.result(); err != nil {
			r.Errorf("Answer = %v, want nil", err)
		}
	})
}

func TestTheHandlerEndsWhenTheCallerGivesUpOrDies(t *testing.T) {
	bubble(t, func(r *rig) {
		began, ended := make(chan struct{}, 9), make(chan struct{}, 9)
		r.answer(r.fabric.Process("orders-1"), quote, func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			began <- struct{}{}
			<-ctx.Done()
			ended <- struct{}{}
			return echo(ctx, e)
		})
		ctx, cancel := context.WithCancel(r.Context())
		go func() { <-began; cancel() }()
		if _, err := r.ask(ctx, "mem://orders-1"); err == nil || err.Code != transport.Canceled || err.NotSent {
			r.Errorf("Request = %#v, want canceled, perhaps sent", err)
		}
		<-ended
		caller := r.fabric.Process("caller")
		result := r.askLater(caller, "mem://orders-1")
		<-began
		caller.Kill()
		if a := <-result; !errors.Is(a.err, transport.ErrClosed) || a.err.NotSent {
			r.Errorf("Request of a killed process = %#v, want closed, perhaps sent", a.err)
		}
		<-ended
	})
}

func TestAKilledCalleeLeavesItsCallersInDoubt(t *testing.T) {
	for _, point := range []mem.Point{mem.BeforeHandle, mem.BeforeAnswer, "by hand"} {
		t.Run(string(point), func(t *testing.T) {
			bubble(t, func(r *rig) {
				callee := r.fabric.Process("orders-1")
				ran := 0
				handler := func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
					ran++
					if point == "by hand" {
						return untilDone(ctx, e)
					}
					return echo(ctx, e)
				}
				a := r.answer(callee, quote, handler)
				if point != "by hand" {
					callee.CrashAt(point, 1)
				}
				result := r.askLater(r.client, "mem://orders-1")
				callee.Kill()
				if got := <-result; got.err == nil || got.err.Code != transport.Unavailable || got.err.NotSent {
					r.Errorf("Request = %#v, want unavailable, perhaps sent", got.err)
				}
				if want := map[mem.Point]int{mem.BeforeAnswer: 1, "by hand": 1}[point]; ran != want {
					r.Errorf("the handler ran %d times, want %d", ran, want)
				}
				if err := a.result(); !errors.Is(err, transport.ErrClosed) {
					r.Errorf("Answer = %v, want an error that wraps closed", err)
				}
				r.answer(r.fabric.Process("orders-1"), quote, echo) // the restart has the same peer
				if _, err := r.ask(r.Context(), "mem://orders-1"); err != nil {
					r.Errorf("Request after the restart = %v, want nil", err)
				}
			})
		})
	}
}

func TestSeveralAnswersShareACallerButNoAddressTwice(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.fabric.Process("orders-1")
		first := r.answer(p, quote, echo)
		r.answer(p, "orders.v1.other", echo)
		endpoint := func(address, path string) transport.Endpoint {
			return transport.Endpoint{Address: address, Method: "GET", Path: path, Answer: echo}
		}
		err := p.Caller().Answer(r.Context(), []transport.Endpoint{
			endpoint(quote, "/q"), endpoint("new.v1.a", "/a"), endpoint("new.v1.b", "/a"), {Address: "BAD"},
		}, func(string) { r.Error("ready was called, want nothing served") })
		for _, want := range []string{quote + ": the address", "route GET /a", "BAD"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				r.Errorf("Answer = %v, want an error that says %q", err, want)
			}
		}
		first.stop()
		if err := first.result(); err != nil {
			r.Errorf("Answer = %v, want nil", err)
		}
		if _, err := r.ask(r.Context(), "mem://orders-1"); err == nil || err.Code != transport.Unimplemented {
			r.Errorf("Request = %v, want unimplemented: the other Answer goes on", err)
		}
		r.answer(p, quote, echo)
		if _, err := r.ask(r.Context(), "mem://orders-1"); err != nil {
			r.Errorf("Request = %v, want nil: the address is free again", err)
		}
	})
}

func TestCloseOfACallerWaitsForHandlersThenEndsThem(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.fabric.Process("orders-1")
		a := r.answer(p, quote, untilDone)
		result := r.askLater(r.client, "mem://orders-1")
		ctx, cancel := context.WithTimeout(r.Context(), minute)
		defer cancel()
		if err := p.Caller().Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("Close = %v with a running handler, want deadline exceeded", err)
		}
		if got := <-result; got.err != nil {
			r.Errorf("Request = %v, want the answer that the handler gave at the end", got.err)
		}
		if err := a.result(); !errors.Is(err, transport.ErrClosed) {
			r.Errorf("Answer = %v, want an error that wraps closed", err)
		}
		if err := p.Caller().Close(r.Context()); err != nil {
			r.Errorf("second Close = %v, want nil", err)
		}
	})
}

func TestCloseOfACallerEndsItsRequests(t *testing.T) {
	bubble(t, func(r *rig) {
		r.answer(r.fabric.Process("orders-1"), quote, untilDone)
		caller := r.fabric.Process("caller")
		result := r.askLater(caller, "mem://orders-1")
		if err := caller.Caller().Close(r.Context()); err != nil {
			r.Errorf("Close = %v, want nil", err)
		}
		if got := <-result; !errors.Is(got.err, transport.ErrClosed) || got.err.NotSent {
			r.Errorf("Request = %#v, want closed, perhaps sent", got.err)
		}
	})
}
