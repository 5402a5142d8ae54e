package parley

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/policy"
	"github.com/parley-io/parley/transport"
)

// What an operation's owner answers beside the start, which has the address of the operation itself.
func getAddress(operation string) string  { return operation + ".get" }
func listAddress(operation string) string { return operation + ".list" }
func actAddress(operation string) string  { return operation + ".act" }

// actionHeader marks what travels in the queue of an operation beside requests to start it: its value is one of those
// below, and the body an operationAction.
const actionHeader = "parleyaction"

// What can be done to an operation.
const (
	doSignal = "signal"
	doCancel = "cancel"
	doRetry  = "retry"
)

// operationAction is the request of an operation's act endpoint, and of its queue.
type operationAction struct {
	Do     string         `json:"do"`
	ID     MessageID      `json:"id"`
	Name   string         `json:"name,omitzero"`   // of a signal
	Body   jsontext.Value `json:"body,omitzero"`   // of a signal
	Reason string         `json:"reason,omitzero"` // of a cancel
}

// statusRequest is the request of an operation's get endpoint.
type statusRequest struct {
	ID MessageID `json:"id"`
	// WaitMS is how long to wait for an end (Since < 0), for another revision (Since > 0), or not at all; milliseconds.
	WaitMS int64 `json:"wait_ms,omitzero"`
	Since  int64 `json:"since,omitzero"`
}

// directShare is how much of its time a Start gives to the owner before it turns to the queue.
const directShare = 2 * time.Second

// starter is a Sender that can reach owners of operations itself; others leave it to the queue.
type starter interface {
	start(ctx context.Context, c *contract, e *transport.Envelope) (done bool, err error)
}

// begin gives a request for an operation to its owner or to its queue. e is nil if there was nothing to send.
func begin(ctx context.Context, s Sender, c *contract, body []byte, options []RequestOption) (*transport.Envelope, error) {
	if c.in != nil {
		if fields := c.in.check(body); len(fields) > 0 {
			return nil, &Error{Code: InvalidArgument, Address: c.address, NotSent: true, Message: "the request does not fit the contract", Fields: fields}
		}
	}
	e := newMessage(ctx, c.address, s.Name(), body)
	for _, o := range options {
		o.request(e)
	}
	report(options, e)
	ctx, cancel := withDefault(ctx)
	defer cancel()
	if direct, ok := s.(starter); ok {
		if done, err := direct.start(ctx, c, e); done {
			return e, err
		}
	}
	return e, enqueue(ctx, s, c, e)
}

// withDefault is ctx with a deadline.
func withDefault(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, DefaultSendTimeout)
}

// enqueue is the way of a request whose owner is away.
func enqueue(ctx context.Context, s Sender, c *contract, e *transport.Envelope) error {
	if err := s.Accept(ctx, c.style, c.channel, []*transport.Envelope{e})[0].Err; err != nil {
		return sendError(c.address, e.ID, err)
	}
	return nil
}

// start implements starter. Not done: the owner could not be reached, or what became of the request is not known; the
// journal of the owner makes it one operation, whichever way it comes.
func (c *Client) start(ctx context.Context, k *contract, e *transport.Envelope) (done bool, err error) {
	asking, end := c.calling(ctx, k, e)
	_, err = c.ask(asking, k, k.address, e, c.directTime(ctx))
	end(err)
	return err == nil || !c.wayAround(ctx, err), err
}

// directTime leaves time for the queue, if there is one.
func (c *Client) directTime(ctx context.Context) time.Duration {
	if c.broker == nil {
		return 0
	}
	end, _ := ctx.Deadline()
	return min(directShare, time.Until(end)/2)
}

// wayAround reports whether what failed at the owner may still go through its queue.
func (c *Client) wayAround(ctx context.Context, err error) bool {
	if c.broker == nil || ctx.Err() != nil {
		return false
	}
	switch CodeOf(err) {
	case Unavailable, DeadlineExceeded, ResourceExhausted, Unimplemented, Aborted, Unknown:
		return true
	}
	return false
}

// ask asks the owner of an operation. Asking again is always harmless; but a question that waits for its answer, as all
// do that ask for a status, is not cut short to be asked once more.
func (c *Client) ask(ctx context.Context, k *contract, address string, e *transport.Envelope, limit time.Duration) (*transport.Envelope, error) {
	if c.calls == nil {
		return nil, &Error{Code: Unavailable, Address: k.address, ID: e.ID, NotSent: true, Message: "the network " + c.net.Name + " has no calls"}
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	e.Address = address
	defer func() { e.Address = k.address }()
	answer, err := c.calls.Do(ctx, policy.Request{
		Envelope: e, Service: k.api.name, Idempotent: address != getAddress(k.address), Unrecorded: true,
		Peers: func() []string { return c.peers(k.api.name, k.address) },
	})
	if failed, ok := errors.AsType[*Error](err); ok {
		failed.Address = k.address // not that of one of its endpoints
	}
	return answer, err
}

// status asks for an operation and waits at the owner for its end (since < 0) or for another revision.
func (c *Client) status(ctx context.Context, k *contract, id MessageID, since int64, wait time.Duration) (OperationStatus, error) {
	var s OperationStatus
	if err := k.ready(); err != nil {
		return s, err
	}
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, max(time.Until(end)-answerMargin, 0))
	}
	body, err := encode(statusRequest{ID: id, WaitMS: wait.Milliseconds(), Since: since})
	if err != nil {
		return s, err
	}
	e := newEnvelope(ctx, k.address, c.name, body)
	answer, err := c.ask(ctx, k, getAddress(k.address), e, wait+DefaultCallTimeout)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(answer.Body, &s); err != nil {
		return s, &Error{Code: Internal, Address: k.address, ID: string(id), Message: "the owner's answer can't be read", Cause: err}
	}
	return s, nil
}

// raise does something to an operation, at the owner or through its queue. It has an id of its own, which is also that
// of a signal.
func (c *Client) raise(ctx context.Context, k *contract, a operationAction, options []RequestOption) (MessageID, error) {
	if err := k.ready(); err != nil {
		return "", err
	}
	body, err := encode(a)
	if err != nil {
		return "", err
	}
	e := newMessage(ctx, k.address, c.name, body)
	for _, o := range options {
		o.request(e)
	}
	report(options, e)
	ctx, cancel := withDefault(ctx)
	defer cancel()
	limit := c.directTime(ctx)
	if a.Do == doRetry {
		limit = 0
	}
	e.Address = actAddress(k.address)
	asking, end := c.calling(ctx, k, e)
	_, err = c.ask(asking, k, e.Address, e, limit)
	end(err)
	queued := c.wayAround(ctx, err) || CodeOf(err) == NotFound && c.broker != nil && c.underWay(ctx, a.ID) // behind its start
	if err == nil || a.Do == doRetry || !queued {
		return MessageID(e.ID), err
	}
	e.Address = k.address
	Header(actionHeader, a.Do).request(e)
	return MessageID(e.ID), c.enqueueAction(ctx, k, e)
}

// enqueueAction puts an action into the queue of an operation. The owner records it when it takes it.
func (c *Client) enqueueAction(ctx context.Context, k *contract, e *transport.Envelope) error {
	if err := c.declare(ctx, k.channel); err != nil {
		return sendError(k.address, e.ID, err)
	}
	if err := delivery.Send(ctx, c.broker, []*transport.Envelope{e})[0].Err; err != nil {
		return sendError(k.address, e.ID, err)
	}
	return nil
}

// ofOperation is an operation as the message that its code handles.
func ofOperation(r *operation.Record) *handling {
	return &handling{Envelope: &transport.Envelope{
		ID: r.ID, Address: r.Address, Source: r.Source, Key: r.Key, Correlation: r.Correlation, Causation: r.Causation,
		Trace: r.Trace, Time: r.Created, Attempt: 1, Body: r.Input,
	}}
}

// ofStep is an attempt of a step as a message.
func ofStep(s *operation.Step) *handling {
	h := ofOperation(s.Operation)
	h.Correlation, h.Causation = story(h.Envelope), h.ID
	h.ID, h.Attempt = s.ID, s.Attempt
	return h
}
