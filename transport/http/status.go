package http

import (
	nethttp "net/http"

	"github.com/parley-io/parley/transport"
)

const statusClientClosedRequest = 499 // nginx's; no standard has one for a caller who gave up

// statusOf is the status that goes with an error.
func statusOf(e *transport.Error) int {
	switch e.Code {
	case transport.InvalidArgument:
		if len(e.Fields) > 0 {
			return nethttp.StatusUnprocessableEntity
		}
		return nethttp.StatusBadRequest
	case transport.FailedPrecondition:
		return nethttp.StatusBadRequest
	case transport.Unauthenticated:
		return nethttp.StatusUnauthorized
	case transport.PermissionDenied:
		return nethttp.StatusForbidden
	case transport.NotFound:
		return nethttp.StatusNotFound
	case transport.AlreadyExists, transport.Aborted:
		return nethttp.StatusConflict
	case transport.ResourceExhausted:
		return nethttp.StatusTooManyRequests
	case transport.Canceled:
		return statusClientClosedRequest
	case transport.Unimplemented:
		return nethttp.StatusNotImplemented
	case transport.Unavailable:
		return nethttp.StatusServiceUnavailable
	case transport.DeadlineExceeded:
		return nethttp.StatusGatewayTimeout
	}
	return nethttp.StatusInternalServerError
}

// codeOf is the Code of an answer that names none: it comes from a proxy or from a server that is not Parley's.
func codeOf(status int) transport.Code {
	switch status {
	case nethttp.StatusBadRequest, nethttp.StatusLengthRequired, nethttp.StatusRequestEntityTooLarge, nethttp.StatusRequestURITooLong,
		nethttp.StatusUnsupportedMediaType, nethttp.StatusExpectationFailed, nethttp.StatusUnprocessableEntity,
		nethttp.StatusRequestHeaderFieldsTooLarge:
		return transport.InvalidArgument
	case nethttp.StatusUnauthorized, nethttp.StatusProxyAuthRequired, nethttp.StatusNetworkAuthenticationRequired:
		return transport.Unauthenticated
	case nethttp.StatusForbidden, nethttp.StatusUnavailableForLegalReasons:
		return transport.PermissionDenied
	case nethttp.StatusNotFound, nethttp.StatusMethodNotAllowed, nethttp.StatusGone, nethttp.StatusNotImplemented:
		return transport.Unimplemented // who answers calls says what was not found in a problem: this one knows no such route
	case nethttp.StatusConflict:
		return transport.Aborted
	case nethttp.StatusPreconditionFailed, nethttp.StatusPreconditionRequired:
		return transport.FailedPrecondition
	case nethttp.StatusTooManyRequests:
		return transport.ResourceExhausted
	case statusClientClosedRequest:
		return transport.Canceled
	case nethttp.StatusInternalServerError:
		return transport.Internal
	case nethttp.StatusBadGateway, nethttp.StatusServiceUnavailable, nethttp.StatusRequestTimeout, nethttp.StatusTooEarly,
		nethttp.StatusMisdirectedRequest:
		return transport.Unavailable
	case nethttp.StatusGatewayTimeout:
		return transport.DeadlineExceeded
	}
	return transport.Unknown
}

// isCode reports whether c is one that this version knows.
func isCode(c transport.Code) bool {
	switch c {
	case transport.Canceled, transport.InvalidArgument, transport.DeadlineExceeded, transport.NotFound, transport.AlreadyExists,
		transport.PermissionDenied, transport.Unauthenticated, transport.ResourceExhausted, transport.FailedPrecondition,
		transport.Aborted, transport.Unimplemented, transport.Unavailable, transport.Internal, transport.Unknown:
		return true
	}
	return false
}
