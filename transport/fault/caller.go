package fault

import (
	"context"
	"slices"
	"sync"

	"github.com/parley-io/parley/transport"
)

// Caller returns c with the faults of call and answer, for the service that lives on this side. Closing it closes c.
func (i *Injector) Caller(c transport.Caller, service string) transport.Caller {
	return &caller{Caller: c, injector: i, service: service, closed: make(chan struct{})}
}

type caller struct {
	transport.Caller
	injector *Injector
	service  string
	close    sync.Once
	closed   chan struct{}
}

func (c *caller) Request(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
	s := c.injector.strike(Call, c.service, e.Address)
	if !sleep(ctx, s.delay) {
		return nil, gaveUp(ctx, true)
	}
	switch s.verb() {
	case Fail:
		return nil, s.rule.err()
	case Cut:
		failed := s.rule.err()
		failed.NotSent = true
		return nil, failed
	case Lose:
		if s.coin {
			_, _ = c.Caller.Request(ctx, peer, e) // lost is lost, whatever it was
		}
		select {
		case <-ctx.Done():
			return nil, gaveUp(ctx, false)
		case <-c.closed:
			return nil, &transport.Error{Code: transport.Unavailable, Message: "closed while it waited for an answer", Cause: transport.ErrClosed}
		}
	case Double:
		if _, err := c.Caller.Request(ctx, peer, e); err != nil {
			return nil, err
		}
	}
	return c.Caller.Request(ctx, peer, e)
}

func (c *caller) Answer(ctx context.Context, endpoints []transport.Endpoint, ready func(string)) error {
	endpoints = slices.Clone(endpoints)
	for n := range endpoints {
		answer := endpoints[n].Answer
		endpoints[n].Answer = func(request context.Context, e *transport.Envelope) (*transport.Envelope, error) {
			return c.answer(ctx, request, e, answer)
		}
	}
	return c.Caller.Answer(ctx, endpoints, ready)
}

// answer runs one request at the callee, until the request's context or the one of its Answer ends.
func (c *caller) answer(serving, ctx context.Context, e *transport.Envelope, answer func(context.Context, *transport.Envelope) (*transport.Envelope, error)) (*transport.Envelope, error) {
	s := c.injector.strike(Answer, c.service, e.Address)
	if !sleep(ctx, s.delay) {
		return nil, gaveUp(ctx, false)
	}
	switch s.verb() {
	case Fail:
		return nil, s.rule.err()
	case Lose:
		_, _ = answer(ctx, e) // lost is lost, whatever it was
		select {
		case <-ctx.Done():
			return nil, gaveUp(ctx, false)
		case <-serving.Done():
			return nil, s.rule.err()
		}
	}
	return answer(ctx, e)
}

func (c *caller) Close(ctx context.Context) error {
	c.close.Do(func() { close(c.closed) })
	return c.Caller.Close(ctx)
}
