package mem

import (
	"context"
	"fmt"
	"strings"

	"github.com/parley-io/parley/transport"
)

// Caller is a process's place on the wire. It implements [transport.Caller]. Its peer is "mem://" and the name of the
// process. REST routes of endpoints are checked, but nothing calls them.
type Caller struct {
	process *Process
	fabric  *Fabric
	served  map[string]*endpoint // by address
	running int                  // Answers
	closing bool
	closed  chan struct{} // Close was called: Requests end, Answers take no more
	abort   chan struct{} // Close has lost its patience: handlers end
	changed chan struct{} // closed when an Answer has ended; nil while Close does not wait
}

var _ transport.Caller = (*Caller)(nil)

func newCaller(p *Process) *Caller {
	return &Caller{
		process: p, fabric: p.fabric, served: make(map[string]*endpoint),
		closed: make(chan struct{}), abort: make(chan struct{}),
	}
}

const scheme = "mem://"

// Request calls the process that peer names. A request that no handler got is [transport.Error.NotSent]; one whose
// callee was killed is not, because the caller cannot know how far it came.
func (c *Caller) Request(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
	fail := func(err *transport.Error) (*transport.Envelope, error) {
		err.Address, err.ID, err.Peer = e.Address, e.ID, peer
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return fail(&transport.Error{Code: transport.InvalidArgument, Message: "no wire carries this request", NotSent: true, Cause: err})
	}
	if n, most := e.Size(), c.fabric.features.MaxBytes; n > most {
		return fail(&transport.Error{Code: transport.InvalidArgument, NotSent: true, Cause: transport.ErrRefused,
			Message: fmt.Sprintf("request of %d bytes, the wire takes %d", n, most)})
	}
	if ctx.Err() != nil {
		return fail(gaveUp(ctx, true))
	}
	h, err := c.begin(ctx, peer, clone(e))
	if err != nil {
		return fail(err)
	}
	select {
	case a := <-h.answer:
		return a.of(fail)
	case <-ctx.Done():
		if ctx.Err() != context.DeadlineExceeded { // the handler has the same deadline and sees it as that
			h.cancel()
		}
		return fail(gaveUp(ctx, false))
	case <-c.closed:
		h.cancel()
		return fail(c.errClosed(false))
	case <-c.process.dead:
		h.cancel()
		return fail(c.errClosed(false))
	case <-h.dead:
	}
	select {
	case a := <-h.answer: // it was quicker than death
		return a.of(fail)
	default:
		return fail(&transport.Error{Code: transport.Unavailable, Message: "the peer died while it handled the request"})
	}
}

// begin starts the handler at peer.
func (c *Caller) begin(ctx context.Context, peer string, e *transport.Envelope) (*handling, *transport.Error) {
	c.fabric.mu.Lock()
	defer c.fabric.mu.Unlock()
	if c.closing || !c.process.alive() {
		return nil, c.errClosed(true)
	}
	name, ok := strings.CutPrefix(peer, scheme)
	if !ok {
		return nil, &transport.Error{Code: transport.Unavailable, Message: "want a peer " + scheme + "NAME", NotSent: true}
	}
	callee := c.fabric.processes[name]
	if callee == nil || callee.caller.closing || callee.caller.running == 0 {
		return nil, &transport.Error{Code: transport.Unavailable, Message: "nobody answers there", NotSent: true}
	}
	served := callee.caller.served[e.Address]
	if served == nil {
		return nil, &transport.Error{Code: transport.Unimplemented, Message: "the peer does not handle this address", NotSent: true}
	}
	if served.draining {
		return nil, &transport.Error{Code: transport.Unavailable, Message: "the peer stops answering", NotSent: true}
	}
	if !callee.pass(BeforeHandle) {
		return nil, &transport.Error{Code: transport.Unavailable, Message: "the peer died while it handled the request"}
	}
	deadline, _ := ctx.Deadline()
	return served.handle(deadline, e), nil
}

// Close ends all Requests at once, and all Answers when their handlers have ended. The contexts of handlers that still
// run when ctx is done end too, and Close says so.
func (c *Caller) Close(ctx context.Context) error {
	c.fabric.mu.Lock()
	defer c.fabric.mu.Unlock()
	if !c.closing {
		c.closing = true
		close(c.closed)
	}
	for c.running > 0 {
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.fabric.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.fabric.mu.Lock()
		if c.running > 0 && ctx.Err() != nil {
			c.cut()
			return fmt.Errorf("mem: close caller of %s: %d Answers had running handlers, whose contexts have ended: %w",
				c.process.name, c.running, ctx.Err())
		}
	}
	return nil
}

// cut ends the contexts of all handlers.
func (c *Caller) cut() {
	select {
	case <-c.abort:
	default:
		close(c.abort)
	}
}

func (c *Caller) errClosed(notSent bool) *transport.Error {
	return &transport.Error{Code: transport.Unavailable, NotSent: notSent,
		Cause: fmt.Errorf("caller of process %s: %w", c.process.name, transport.ErrClosed)}
}

// gaveUp is the error of a caller whose context is done.
func gaveUp(ctx context.Context, notSent bool) *transport.Error {
	code := transport.Canceled
	if ctx.Err() == context.DeadlineExceeded {
		code = transport.DeadlineExceeded
	}
	return &transport.Error{Code: code, NotSent: notSent, Cause: context.Cause(ctx)}
}
