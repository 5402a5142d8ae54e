package parley

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/parley-io/parley/operation"
)

// Operation is the contract of asynchronous work: I asks for it and is answered at once with an id; the service that
// owns it does the work in durable steps, over crashes and days; O is the result, for whoever waits. Safe for
// concurrent use.
type Operation[I, O any] struct{ *contract }

// OperationOption is an option of [NewOperation].
type OperationOption interface{ operation(c *contract) }

type operationOption func(*contract)

func (f operationOption) operation(c *contract) { f(c) }

// Timeout is how long after its acceptance an operation fails with DeadlineExceeded, unless it has ended: what it did is
// undone. 0, the default, is never.
func Timeout(d time.Duration) OperationOption {
	return operationOption(func(c *contract) { c.timeout = d })
}

// Phases are the names of the steps, signals and addresses that an operation is expected to go through, in about that
// order. They show people what is left to do, and change nothing else.
func Phases(names ...string) OperationOption {
	return operationOption(func(c *contract) { c.phases = names })
}

// NewOperation defines an operation of an API. Its address is the API's name and the given one: "loans.v1.decide".
func NewOperation[I, O any](a *API, name string, options ...OperationOption) *Operation[I, O] {
	c := &contract{name: name, style: StyleOperation, inType: reflect.TypeFor[I](), outType: reflect.TypeFor[O]()}
	for _, o := range options {
		o.operation(c)
	}
	return &Operation[I, O]{a.add("NewOperation", c)}
}

// Start asks for an operation and returns when the request is durable, with the id to wait for, follow, cancel and
// signal: at its owner, or, where that can't be reached, in the owner's queue under the same id. So it fails only when
// the request is wrong or neither can be reached. With [WithID], starting again with the same input is the same
// operation; another input under that id is [ErrKeyReused]. ctx without a deadline gets 5 s.
func (o *Operation[I, O]) Start(ctx context.Context, s Sender, in I, options ...RequestOption) (Execution[O], error) {
	if run, ok := operation.RunFrom(ctx); ok {
		x, err := verb(ctx, run, o.contract, func(ctx context.Context, id MessageCallOption) (Execution[O], error) {
			return o.start(ctx, s, in, append([]RequestOption{id}, options...))
		})
		x.contract = o.contract // the journal keeps the id only
		return x, err
	}
	return o.start(ctx, s, in, options)
}

func (o *Operation[I, O]) start(ctx context.Context, s Sender, in I, options []RequestOption) (Execution[O], error) {
	x := Execution[O]{contract: o.contract}
	if err := o.ready(); err != nil {
		return x, err
	}
	body, err := encode(in)
	if err != nil {
		return x, &Error{Code: InvalidArgument, Address: o.address, NotSent: true, Message: "the request can't be sent", Cause: err}
	}
	e, err := begin(ctx, s, o.contract, body, options)
	if e != nil {
		x.ID = MessageID(e.ID)
	}
	return x, err
}

// Call starts an operation and waits for its result, for as long as ctx allows. When it gives up, the operation goes on;
// the error has its id.
func (o *Operation[I, O]) Call(ctx context.Context, client *Client, in I, options ...RequestOption) (O, error) {
	x, err := o.Start(ctx, client, in, options...)
	if err != nil {
		return *new(O), err
	}
	return x.Wait(ctx, client)
}

// Execution is the operation of an id, started earlier, here or elsewhere. Nothing is asked; an id that does not exist
// shows at its use.
func (o *Operation[I, O]) Execution(id MessageID) Execution[O] {
	return Execution[O]{ID: id, contract: o.contract}
}

// Handle registers f as what carries the operation out in a service, which so becomes its owner. f is an ordinary
// function: every verb that is called with its context is a step, and so is what [Step] and [Go] do: its result is
// kept, and never asked for again. After a crash f runs again from its beginning, and steps that are kept answer at once.
// So what f does between steps must follow from its input and from the results of steps: no clock, no random numbers, no
// iteration over maps outside of steps. One goroutine asks for steps, that of f: use [Go] and [Gather] for work in parallel.
// An error is the failure of the operation, and what [Undo] declared is undone; its text is kept with the operation, and
// whoever may ask for that sees it, as he sees those of steps.
//
// version, from 1, is pinned when an operation is accepted: new ones get the version given here, and those of earlier ones
// run the code that Earlier registers, until none is left. Change the steps of f only under a new version: a journal
// that does not fit the code parks its operation.
func (o *Operation[I, O]) Handle(version int, f func(context.Context, I) (O, error)) *OperationHandler[I, O] {
	h := &OperationHandler[I, O]{owning{contract: o.contract, defined: caller()}}
	return h.add(version, f)
}

// OperationHandler is the code of an operation in all versions that are still needed.
type OperationHandler[I, O any] struct{ owning }

// Earlier registers the code of an earlier version.
func (h *OperationHandler[I, O]) Earlier(version int, f func(context.Context, I) (O, error)) *OperationHandler[I, O] {
	return h.add(version, f)
}

func (h *OperationHandler[I, O]) add(version int, f func(context.Context, I) (O, error)) *OperationHandler[I, O] {
	if version < 1 {
		h.problems = append(h.problems, fmt.Sprintf("version %d: want 1 or more", version))
	}
	if f == nil {
		h.problems = append(h.problems, fmt.Sprintf("version %d: %s", version, noHandler))
	}
	if len(h.codes) > 0 && version >= h.codes[0].Version {
		h.problems = append(h.problems, fmt.Sprintf("Earlier(%d) of Handle(%d): want a lower number", version, h.codes[0].Version))
	}
	h.codes = append(h.codes, operation.Code{
		Version: version,
		Run: func(ctx context.Context, body []byte) ([]byte, error) {
			var in I
			if err := decode(h.in, body, &in); err != nil {
				return nil, err
			}
			out, err := f(ctx, in)
			if err != nil {
				return nil, err
			}
			result, err := encode(out)
			if err != nil {
				return nil, operation.Unencodable(err)
			}
			return result, nil
		},
	})
	return h
}
