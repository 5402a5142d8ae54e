package parley

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// Signal is the contract of something that a running operation is told: an approval, a payment that came. It is kept
// until the operation asks for it, so it may come early. Safe for concurrent use.
type Signal[T any] struct {
	operation *contract
	signal    *signal
}

// signal is the untyped part of a Signal.
type signal struct {
	name string
	of   reflect.Type
	in   *schema // nil until compiled
}

// NewSignal defines a signal of an operation. The name is a word of a-z, 0-9 and '-'.
func NewSignal[T, I, O any](of *Operation[I, O], name string) *Signal[T] {
	s := &signal{name: name, of: reflect.TypeFor[T]()}
	of.define("NewSignal "+name, func() {
		bad := func(format string, args ...any) {
			of.api.problems = append(of.api.problems, fmt.Errorf("signal %s of %s: "+format, append([]any{name, of.address}, args...)...))
		}
		if err := transport.CheckGroup(name); err != nil {
			bad("%w", err)
		}
		if slices.ContainsFunc(of.signals, func(o *signal) bool { return o.name == name }) {
			bad("is defined twice")
		}
		of.signals = append(of.signals, s)
	})
	return &Signal[T]{operation: of.contract, signal: s}
}

// Name is the signal's name within its operation.
func (s *Signal[T]) Name() string { return s.signal.name }

// Await waits for the signal in the code of the operation: the first Await gets the first one raised, also when it came
// before, the second Await the second. With [Within] it waits no longer than that, and the error is DeadlineExceeded.
// Waiting costs nothing, for however long. Only the code of the operation can wait, outside of its steps.
func (s *Signal[T]) Await(ctx context.Context, options ...AwaitOption) (T, error) {
	var v T
	run, ok := operation.RunFrom(ctx)
	if !ok || run.Record().Address != s.operation.address {
		return v, &Error{Code: FailedPrecondition, Address: s.operation.address,
			Message: fmt.Sprintf("the signal %s can only be awaited by the code of its operation, outside of steps", s.signal.name)}
	}
	var o limits
	for _, option := range options {
		option.await(&o)
	}
	body, err := run.Await(ctx, s.signal.name, o.within)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, &Error{Code: InvalidArgument, Address: s.operation.address, Message: "the signal " + s.signal.name + " does not fit the contract", Fields: []Field{jsonField(err)}}
	}
	return v, nil
}

// Raise tells an operation. It returns when the signal is durable, at the owner or, where that can't be reached, in its
// queue. NotFound: there is no such operation; FailedPrecondition: it has ended. Raising again with the same [WithID] is
// the same signal.
func (s *Signal[T]) Raise(ctx context.Context, client *Client, id MessageID, payload T, options ...RequestOption) (MessageID, error) {
	if run, ok := operation.RunFrom(ctx); ok {
		return verb(ctx, run, s.operation, func(ctx context.Context, own MessageCallOption) (MessageID, error) {
			return s.raise(ctx, client, id, payload, append([]RequestOption{own}, options...))
		})
	}
	return s.raise(ctx, client, id, payload, options)
}

func (s *Signal[T]) raise(ctx context.Context, client *Client, id MessageID, payload T, options []RequestOption) (MessageID, error) {
	if err := s.operation.ready(); err != nil {
		return "", err
	}
	body, err := encode(payload)
	if err != nil {
		return "", &Error{Code: InvalidArgument, Address: s.operation.address, NotSent: true, Message: "the signal " + s.signal.name + " can't be sent", Cause: err}
	}
	if err := s.signal.fits(s.operation, body); err != nil {
		return "", err
	}
	a := operationAction{Do: doSignal, ID: id, Name: s.signal.name, Body: body}
	return client.raise(ctx, s.operation, a, options)
}

// fits checks a payload.
func (s *signal) fits(of *contract, body []byte) error {
	if fields := s.in.check(body); len(fields) > 0 {
		return &Error{Code: InvalidArgument, Address: of.address, NotSent: true, Message: "the signal " + s.name + " does not fit the contract", Fields: fields}
	}
	return nil
}

// AwaitOption is an option of [Signal.Await].
type AwaitOption interface{ await(l *limits) }

// limits are what options say about a step, a wait or a gathering.
type limits struct {
	attempts int
	within   time.Duration
	enough   int
}
