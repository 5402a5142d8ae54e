package parley

import (
	"context"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// Call is the contract of a synchronous exchange: I is asked, O is answered while the caller waits. Not durable: when
// the callee is down, the call fails. Safe for concurrent use.
type Call[I, O any] struct{ *contract }

// NewCall defines a call of an API. Its address is the API's name and the given one: "orders.v1.get-quote".
func NewCall[I, O any](a *API, name string, options ...CallOption) *Call[I, O] {
	c := &contract{name: name, style: StyleCall, inType: reflect.TypeFor[I](), outType: reflect.TypeFor[O]()}
	for _, o := range options {
		o.call(c)
	}
	return &Call[I, O]{a.add("NewCall", c)}
}

// DefaultCallTimeout bounds a call whose context has no deadline.
const DefaultCallTimeout = 5 * time.Second

// Call asks and waits for the answer. ctx's deadline (5 s if it has none) holds for everything that the callee does too,
// along the whole chain. What certainly was not executed is tried again, up to twice and within a budget; what may have
// been only if the contract is [Idempotent]. Answers are read tolerantly, so that versions may differ: members that O
// does not know are ignored, and those that are not there are zero. An error is an [*Error]; a declared one matches
// with errors.Is.
func (c *Call[I, O]) Call(ctx context.Context, client *Client, in I, options ...RequestOption) (O, error) {
	if run, ok := operation.RunFrom(ctx); ok {
		return verb(ctx, run, c.contract, func(ctx context.Context, id MessageCallOption) (O, error) {
			return c.ask(ctx, client, in, append([]RequestOption{id}, options...))
		})
	}
	return c.ask(ctx, client, in, options)
}

func (c *Call[I, O]) ask(ctx context.Context, client *Client, in I, options []RequestOption) (O, error) {
	var out O
	e, err := c.request(ctx, client, in, options)
	if err != nil {
		return out, err
	}
	answer, err := client.call(ctx, c.contract, e)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer.Body, &out); err != nil {
		return out, &Error{Code: Internal, Address: c.address, ID: e.ID, Message: "the answer does not fit the contract", Fields: []Field{jsonField(err)}}
	}
	return out, nil
}

// request makes the envelope of a call.
func (c *Call[I, O]) request(ctx context.Context, client *Client, in I, options []RequestOption) (*transport.Envelope, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	body, err := encode(in)
	if err != nil {
		return nil, &Error{Code: InvalidArgument, Address: c.address, NotSent: true, Message: "the request can't be sent", Cause: err}
	}
	e := newEnvelope(ctx, c.address, client.name, body)
	for _, o := range options {
		o.request(e)
	}
	report(options, e)
	return e, nil
}

// Handle registers f as what answers the call in a service. f's context has the caller's deadline and ends when the
// caller gives up. An [*Error] that f returns reaches the caller as it is; any other error is logged here and
// reaches it as Internal, and so does a panic. f may run many times at once.
func (c *Call[I, O]) Handle(f func(context.Context, I) (O, error)) Registration {
	r := &answering{contract: c.contract, defined: caller(), missing: f == nil}
	r.run = func(ctx context.Context, body []byte) ([]byte, error) {
		var in I
		if err := decode(c.in, body, &in); err != nil {
			return nil, err
		}
		out, err := f(ctx, in)
		if err != nil {
			return nil, err
		}
		return encode(out)
	}
	return r
}
