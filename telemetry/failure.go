package telemetry

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/parley-io/parley/transport"
)

// other stands for every name that a closed set does not have.
const other = "_OTHER"

// codeOf is the code of an error of a call; "ok" of nil, and unknown of a code that is not Parley's.
func codeOf(err error) transport.Code {
	switch c := transport.CodeOf(err); c {
	case "":
		return "ok"
	case transport.Canceled, transport.InvalidArgument, transport.DeadlineExceeded, transport.NotFound, transport.AlreadyExists,
		transport.PermissionDenied, transport.Unauthenticated, transport.ResourceExhausted, transport.FailedPrecondition,
		transport.Aborted, transport.Unimplemented, transport.Unavailable, transport.Internal:
		return c
	}
	return transport.Unknown
}

// classOf is the class of an error of anything else: "" of nil, what it means for repeating where that is known.
func classOf(err error) string {
	if err == nil {
		return ""
	}
	if _, ok := errors.AsType[*transport.Error](err); ok {
		return string(codeOf(err))
	}
	switch {
	case errors.Is(err, transport.ErrRefused):
		return "refused"
	case errors.Is(err, transport.ErrNotSent):
		return "not-sent"
	case errors.Is(err, context.DeadlineExceeded):
		return string(transport.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return string(transport.Canceled)
	}
	return other
}

// defect is code if it says that the callee failed, else "": that it refused a request is no failure of its own.
func defect(code transport.Code) string {
	switch code {
	case transport.Unknown, transport.DeadlineExceeded, transport.Unimplemented, transport.Internal, transport.Unavailable:
		return string(code)
	}
	return ""
}

// failed adds the class of a failure to labels; "" adds nothing.
func failed(labels []attribute.KeyValue, class string) []attribute.KeyValue {
	if class == "" {
		return labels
	}
	return append(labels, semconv.ErrorTypeKey.String(class))
}

// clip shortens text to a kibibyte of valid UTF-8.
func clip(s string) string {
	if len(s) <= 1<<10 {
		return valid(s)
	}
	return strings.ToValidUTF8(s[:1<<10], "") + "…"
}

// valid is s with replacement characters for what is no UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// nameOf is the name of a declared error, "" of any other.
func nameOf(err error) string {
	if e, ok := errors.AsType[*transport.Error](err); ok {
		return clip(e.Name)
	}
	return ""
}
