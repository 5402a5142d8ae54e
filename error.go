package parley

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// Error is what becomes of a verb that failed, and what handlers answer; see [transport.Error]. Every error that a
// verb returns is or wraps one.
type Error = transport.Error

// Field is one thing that is wrong with a request; see [Error].Fields.
type Field = transport.Field

// Code is the class of an [Error], by its name on the wire.
type Code = transport.Code

// The codes. What each means for repeating: Unavailable and Aborted may be tried again, DeadlineExceeded only what is
// idempotent, all others not.
const (
	Canceled           = transport.Canceled
	InvalidArgument    = transport.InvalidArgument
	DeadlineExceeded   = transport.DeadlineExceeded
	NotFound           = transport.NotFound
	AlreadyExists      = transport.AlreadyExists
	PermissionDenied   = transport.PermissionDenied
	Unauthenticated    = transport.Unauthenticated
	ResourceExhausted  = transport.ResourceExhausted
	FailedPrecondition = transport.FailedPrecondition
	Aborted            = transport.Aborted
	Unimplemented      = transport.Unimplemented
	Unavailable        = transport.Unavailable
	Internal           = transport.Internal
	Unknown            = transport.Unknown
)

var (
	// ErrNoAudience is what Publish answers for a contract with [RequireAudience] that nobody has subscribed to.
	ErrNoAudience = &Error{Code: FailedPrecondition, Name: "parley.no-audience"}
	// ErrNoCollector is what Follow and Await answer where no collector runs.
	ErrNoCollector = &Error{Code: Unavailable, Name: "parley.no-collector"}
	// ErrDeadLettered is what Await answers once a receiver has given up.
	ErrDeadLettered = &Error{Code: FailedPrecondition, Name: "parley.dead-lettered"}
	// ErrKeyReused is what Start answers for an id under which something else was started.
	ErrKeyReused = &Error{Code: AlreadyExists, Name: operation.KeyReused}
	// ErrCanceled is what waiting for an operation answers that was canceled.
	ErrCanceled = &Error{Code: Canceled, Name: operation.WasCanceled}
)

// Errorf makes an error with a code, for handlers of calls. The text reaches the caller; a cause given with %w stays
// on this side of the wire.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Cause: err}
}

// WithDetails is a copy of a declared error with details that cross the wire with it, as JSON; [DetailsOf] reads them.
func WithDetails(declared *Error, details any) error {
	e := *declared
	b, err := json.Marshal(details)
	if err != nil {
		e.Cause = fmt.Errorf("details of %s: %w", e.Name, err)
		return &e
	}
	e.Details = b
	return &e
}

// DetailsOf reads the details of the [Error] in err. It answers false if there are none, or none of that form.
func DetailsOf[D any](err error) (D, bool) {
	var d D
	e, ok := errors.AsType[*Error](err)
	if !ok || len(e.Details) == 0 || json.Unmarshal(e.Details, &d) != nil {
		return *new(D), false
	}
	return d, true
}

// CodeOf is the code of err: of the [Error] inside it, else Unknown. CodeOf(nil) is "".
func CodeOf(err error) Code { return transport.CodeOf(err) }

// Permanent marks a handler's error as useless to retry: the message goes to the dead letters at once.
func Permanent(err error) error { return delivery.Permanent(err) }

// RetryAfter marks a handler's error: the next attempt comes not earlier than d from now.
func RetryAfter(err error, d time.Duration) error { return delivery.RetryAfter(err, d) }

// DependencyDown marks a handler's error: something that every message needs is down, so that it is useless to try others
// meanwhile; see [NoKillSwitch].
func DependencyDown(err error) error { return delivery.DependencyDown(err) }

// answerError is the border of a call's handler: whatever it returned becomes what the caller may see. hidden is
// set when the caller does not get the text, so that it can be logged here.
func answerError(ctx context.Context, err error) (e *Error, hidden bool) {
	if found, ok := errors.AsType[*Error](err); ok && found != nil {
		if found.Address == "" { // the handler's own answer
			return found, false
		}
		// Another service's answer: its meaning is not ours, but that it is down or slow passes on.
		e := &Error{Code: Internal, Message: "a service behind this one failed: " + found.Error()}
		switch found.Code {
		case Unavailable, DeadlineExceeded, ResourceExhausted:
			e.Code, e.NoRetry, e.RetryAfter = Unavailable, found.NoRetry, found.RetryAfter
		}
		return e, false
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Code: DeadlineExceeded, Message: "the time was over while it was handled"}, false
	case ctx.Err() != nil:
		return &Error{Code: Canceled, Message: "the caller gave up"}, false
	}
	return &Error{Code: Internal, Message: failedHere}, true
}

const failedHere = "the service failed; its log says why"

// sendError is the border of Send and Publish: what a receipt's error means to the sender.
func sendError(address, id string, err error) error {
	e := &Error{Code: Unavailable, Address: address, ID: id, Cause: err}
	switch {
	case errors.Is(err, transport.ErrRefused):
		e.Code, e.NotSent, e.Message = InvalidArgument, true, "the message was refused"
	case errors.Is(err, transport.ErrNotSent):
		e.NotSent, e.Message = true, "the message was not sent; send it again"
		if errors.Is(err, context.DeadlineExceeded) {
			e.Code, e.Message = DeadlineExceeded, "the time was over before the message was sent; send it again"
		} else if errors.Is(err, context.Canceled) {
			e.Code, e.Message = Canceled, "given up before the message was sent"
		}
	case errors.Is(err, context.DeadlineExceeded):
		e.Code, e.Message = DeadlineExceeded, "not confirmed in time: it may have been sent; follow its id, or send it again with WithID"
	case errors.Is(err, context.Canceled):
		e.Code, e.Message = Canceled, "given up before it was confirmed: it may have been sent"
	default:
		e.Message = "not confirmed: it may have been sent; follow its id, or send it again with WithID"
	}
	return e
}
