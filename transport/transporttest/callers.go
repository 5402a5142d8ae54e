package transporttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

// Peers is a place where calls are made and answered, and what a check may do there.
type Peers struct {
	// Open gives another process's Caller. Its Answer must call ready with a peer that the others can reach.
	Open func(ctx context.Context) (transport.Caller, error)
	// MaxBytes is the largest body that is carried.
	MaxBytes int
}

// Callers are the promises of a [transport.Caller].
func Callers() Suite[Peers] {
	return Suite[Peers]{
		{Rule: Rule{1, "deadline travels",
			"The handler's context has the caller's deadline as remaining time, which shrinks along a chain of calls; when it is over both sides stop.",
			"Without it the servers of a chain go on working for callers that have gone."},
			Try: deadlineTravels},
		{Rule: Rule{2, "cancellation travels",
			"When the caller gives up, Request returns Canceled at once and the handler's context ends.",
			"Work for nobody is what an overloaded system can afford least."},
			Try: cancellationTravels},
		{Rule: Rule{3, "NotSent is the truth",
			"NotSent is true when nobody listens or nothing was begun, and false whenever the handler may have begun.",
			"It alone decides whether a call that is not idempotent may be repeated."},
			Try: notSentIsTrue},
		{Rule: Rule{4, "errors cross unharmed",
			"A declared error arrives with its code, name, message, details, fields and advice about repeating; what the handler learned about another peer does not become the caller's.",
			"An error that loses its name on the way forces callers to parse messages."},
			Try: errorsCross},
		{Rule: Rule{5, "panics and foreign errors are Internal",
			"A panic or an error that is no *Error arrives as Internal without its text, and the callee goes on.",
			"Texts of internal errors carry secrets, and one bad request must not end a process."},
			Try: panicsAreInternal},
		{Rule: Rule{6, "oversize is refused",
			"A body above the limit is refused with a typed error before a handler runs, one of exactly that size is answered, and the next call works.",
			"A body that is read whole before it is measured is how one caller ends another's process."},
			Try: oversizeCalls},
		{Rule: Rule{7, "unknown address is Unimplemented",
			"A request to an address that the peer does not answer is Unimplemented, and nothing was begun.",
			"Not found is what a handler says about a thing; that nobody handles it is another matter."},
			Try: unknownAddress},
		{Rule: Rule{8, "several Answers",
			"Several Answers run on one Caller; an address that is served already is an error before anything of the second is served, and free again when the first has ended.",
			"Two services in one process, or one that restarts in a test, must not steal each other's requests."},
			Try: severalAnswers},
		{Rule: Rule{9, "drain",
			"When its context ends, Answer takes no more requests, which fail as Unavailable with NotSent, and returns once those that run have been answered; their contexts go on.",
			"A deployment must fail no call, and what it turns away must be safe to repeat elsewhere."},
			Try: drain},
		{Rule: Rule{10, "concurrent calls",
			"100 calls at a time to one peer each get their own answer.",
			"Multiplexing that mixes up answers is a breach of privacy."},
			Try: concurrentCalls},
		{Rule: Rule{11, "envelopes cross unharmed",
			"Identity, headers, trace context and body arrive as they were sent, in the request and in the answer.",
			"The trail of a story is made of these fields."},
			Try: envelopesCross},
		{Rule: Rule{12, "nothing leaks",
			"Opening, answering, calling and closing many times leaves no goroutine and no file descriptor behind.",
			"Leaks live where connections end, and show after weeks."},
			Try: callersLeakNothing},
		{Rule: Rule{13, "replies cross unharmed",
			"What an answer says beside its body arrives as it was said, also without a body; preferences and conditions arrive with the request; an invalid reply arrives as Internal.",
			"Where an operation can be watched, and when to look again, must not depend on the wire."},
			Try: repliesCross},
	}
}

// CheckCaller tries all promises of a caller by the wall clock and explains each broken one.
func CheckCaller(ctx context.Context, target Target[Peers], o Options) error {
	return Errors(Callers().Results(ctx, target, o))
}

// RunCaller tries all promises of a caller as subtests.
func RunCaller(t *testing.T, target Target[Peers], o Options) []Result {
	t.Helper()
	return Callers().Run(t, target, o)
}

// connect opens a Caller that is closed with the scene.
func (p Peers) connect(ctx context.Context, s *Scene) transport.Caller {
	c, err := p.Open(ctx)
	if err != nil {
		s.Fatalf("opening a caller: %v", err)
	}
	s.Defer(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return c.Close(ctx)
	})
	return c
}

// answer is what a handler does.
type answer = func(context.Context, *transport.Envelope) (*transport.Envelope, error)

// answerer is an Answer that runs.
type answerer struct {
	receiver
	peer string
}

// answer serves handlers by address and returns once others can reach them.
func (s *Scene) answer(ctx context.Context, c transport.Caller, handlers map[string]answer) *answerer {
	var endpoints []transport.Endpoint
	for address, h := range handlers {
		endpoints = append(endpoints, transport.Endpoint{Address: address, Answer: h})
	}
	x := &answerer{receiver: receiver{ended: make(chan struct{})}}
	ready := make(chan string, 1)
	var serving context.Context
	serving, x.cancel = context.WithCancel(ctx)
	s.Go(func() {
		defer close(x.ended)
		x.err = c.Answer(serving, endpoints, func(peer string) { ready <- peer })
	})
	s.Defer(func(context.Context) error {
		x.cancel()
		return nil
	})
	select {
	case x.peer = <-ready:
	case <-x.ended:
		s.Fatalf("Answer ended before it was ready: %v", x.err)
	case <-ctx.Done():
		s.Fatalf("Answer was not ready in time")
	}
	return x
}

// call makes one request.
func call(ctx context.Context, c transport.Caller, peer, address, id string) (*transport.Envelope, error) {
	return c.Request(ctx, peer, &transport.Envelope{
		ID: id, Source: "conform", Address: address, Time: time.Now(), Body: []byte(`{"id":"` + id + `"}`),
	})
}

// echo answers with the body of the request.
func echo(_ context.Context, e *transport.Envelope) (*transport.Envelope, error) {
	return &transport.Envelope{ID: e.ID, Address: e.Address, ContentType: e.ContentType, Headers: e.Headers, Body: e.Body}, nil
}

// failed wants err to be an *Error of a code, and answers it.
func (s *Scene) failed(what string, err error, codes ...transport.Code) *transport.Error {
	e, ok := errors.AsType[*transport.Error](err)
	if !ok {
		s.Errorf("%s: got %v; want a *transport.Error of code %v", what, err, codes)
		return &transport.Error{}
	}
	for _, code := range codes {
		if e.Code == code {
			return e
		}
	}
	s.Errorf("%s: got code %s (%v); want %v", what, e.Code, err, codes)
	return e
}

// notSent wants an error to say whether the request was certainly not begun.
func (s *Scene) notSent(what string, e *transport.Error, want bool) {
	if e.NotSent != want {
		s.Errorf("%s: got NotSent = %v (%v); want %v", what, e.NotSent, e, want)
	}
}

// works wants a call to succeed.
func (s *Scene) works(ctx context.Context, what string, c transport.Caller, peer, address string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := call(ctx, c, peer, address, "works"); err != nil {
		s.Errorf("%s: got %v; want an answer", what, err)
	}
}
