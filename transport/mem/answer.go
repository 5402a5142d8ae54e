package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// endpoint is what a running Answer serves under one address.
type endpoint struct {
	route    string // "METHOD /path"; "" = none
	draining bool   // its Answer takes no more
	// handle starts the handler. Called while the Answer takes requests, under the fabric's lock.
	handle func(deadline time.Time, e *transport.Envelope) *handling
}

// handling is a running handler, as its caller sees it.
type handling struct {
	answer <-chan answer      // gets one answer, unless the process dies
	dead   <-chan struct{}    // of the callee
	cancel context.CancelFunc // the caller has gone
}

type answer struct {
	envelope *transport.Envelope
	err      *transport.Error
}

func (a answer) of(fail func(*transport.Error) (*transport.Envelope, error)) (*transport.Envelope, error) {
	if a.err != nil {
		return fail(a.err)
	}
	return a.envelope, nil
}

// Answer serves endpoints; see [transport.Caller]. Handlers of a process that is killed see their contexts end, and
// Answer waits for them: a goroutine cannot be killed.
func (c *Caller) Answer(ctx context.Context, endpoints []transport.Endpoint, ready func(peer string)) error {
	var handlers sync.WaitGroup
	base, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	served, err := c.register(base, endpoints, &handlers)
	if err != nil {
		return fmt.Errorf("mem: answer: %w", err)
	}
	if ready != nil {
		ready(scheme + c.process.name)
	}
	select {
	case <-ctx.Done():
	case <-c.closed:
		err = c.errClosed(false).Cause
	case <-c.process.dead:
	}
	c.drain(served)

	ended := make(chan struct{})
	go func() { handlers.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-c.abort:
		abort(transport.ErrClosed)
	case <-c.process.dead:
		abort(transport.ErrClosed)
	}
	<-ended
	c.gone(served)
	if !c.process.alive() {
		err = c.errClosed(false).Cause
	}
	if err != nil {
		return fmt.Errorf("mem: answer: %w", err)
	}
	return nil
}

// register makes endpoints known, all or none; served is what they are on the wire.
func (c *Caller) register(base context.Context, endpoints []transport.Endpoint, handlers *sync.WaitGroup) (served map[string]*endpoint, err error) {
	c.fabric.mu.Lock()
	defer c.fabric.mu.Unlock()
	if c.closing || !c.process.alive() {
		return nil, c.errClosed(true).Cause
	}
	if err := c.check(endpoints); err != nil {
		return nil, err
	}
	served = make(map[string]*endpoint)
	for _, e := range endpoints {
		served[e.Address] = &endpoint{route: route(e), handle: func(deadline time.Time, request *transport.Envelope) *handling {
			ctx, cancel := withDeadline(base, deadline)
			reply := make(chan answer, 1)
			handlers.Go(func() {
				defer cancel()
				a := answer{err: &transport.Error{Code: transport.Internal}} // of a handler that ends its goroutine
				defer func() { c.send(reply, a) }()
				a = c.call(ctx, e.Answer, request)
			})
			return &handling{reply, c.process.dead, cancel}
		}}
	}
	maps.Copy(c.served, served)
	c.running++
	return served, nil
}

// check reports everything that is wrong with endpoints beside those that are served.
func (c *Caller) check(endpoints []transport.Endpoint) error {
	taken := make(map[string]bool) // addresses and routes
	for address, e := range c.served {
		if !e.draining {
			taken[address], taken[e.route] = true, true
		}
	}
	var errs []error
	for _, e := range endpoints {
		if err := transport.CheckAddress(e.Address); err != nil {
			errs = append(errs, err)
		}
		if e.Answer == nil {
			errs = append(errs, fmt.Errorf("%s: no Answer", e.Address))
		}
		if taken[e.Address] {
			errs = append(errs, fmt.Errorf("%s: the address is served already", e.Address))
		}
		if r := route(e); r != "" && taken[r] {
			errs = append(errs, fmt.Errorf("%s: the route %s is served already", e.Address, r))
		}
		taken[e.Address], taken[route(e)] = true, true
	}
	return errors.Join(errs...)
}

// drain lets no new request to the endpoints of an Answer.
func (c *Caller) drain(served map[string]*endpoint) {
	c.fabric.mu.Lock()
	defer c.fabric.mu.Unlock()
	for _, e := range served {
		e.draining = true
	}
}

// gone takes the endpoints of an Answer off the wire and tells Close that it has ended.
func (c *Caller) gone(served map[string]*endpoint) {
	c.fabric.mu.Lock()
	defer c.fabric.mu.Unlock()
	for address, e := range served {
		if c.served[address] == e { // another Answer may serve it by now
			delete(c.served, address)
		}
	}
	c.running--
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// send gives the caller its answer, unless the process dies before.
func (c *Caller) send(reply chan<- answer, a answer) {
	c.fabric.mu.Lock()
	defer c.fabric.mu.Unlock()
	if c.process.pass(BeforeAnswer) {
		reply <- a // has room for it
	}
}

// call runs a handler; what it does wrong is Internal, without its text.
func (c *Caller) call(ctx context.Context, handle func(context.Context, *transport.Envelope) (*transport.Envelope, error),
	request *transport.Envelope) (a answer) {
	internal := &transport.Error{Code: transport.Internal}
	a.err = internal
	defer func() { _ = recover() }()
	e, err := handle(ctx, request)
	switch known, ok := errors.AsType[*transport.Error](err); {
	case ok:
		return answer{err: onWire(known)}
	case err != nil || e == nil:
		return answer{err: internal}
	}
	if n, most := e.Size(), c.fabric.features.MaxBytes; n > most {
		internal.Message = fmt.Sprintf("answer of %d bytes, the wire takes %d", n, most)
		return answer{err: internal}
	}
	if _, err := transport.ReplyOf(e); err != nil {
		internal.Message = fmt.Sprintf("the handler's answer: %v", err)
		return answer{err: internal}
	}
	return answer{envelope: clone(e)}
}

// onWire is what of e crosses to the caller.
func onWire(e *transport.Error) *transport.Error {
	code := e.Code
	if code == "" {
		code = transport.Unknown
	}
	return &transport.Error{
		Code: code, Name: e.Name, Message: e.Message, Details: bytes.Clone(e.Details), Fields: slices.Clone(e.Fields),
		RetryAfter: e.RetryAfter, NoRetry: e.NoRetry,
		NotSent: e.NotSent && e.Peer == "", // with a Peer, it is about another call
	}
}

func withDeadline(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline)
}

func route(e transport.Endpoint) string {
	if e.Method == "" && e.Path == "" {
		return ""
	}
	return e.Method + " " + e.Path
}
