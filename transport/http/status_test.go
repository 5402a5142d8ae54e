package http

import (
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestEachCodeHasItsStatus(t *testing.T) {
	t.Parallel()
	field := []transport.Field{{Path: "sku", Message: "missing"}}
	for _, x := range []struct {
		err  transport.Error
		want int
	}{
		{transport.Error{Code: transport.Canceled}, 499},
		{transport.Error{Code: transport.InvalidArgument}, 400},
		{transport.Error{Code: transport.InvalidArgument, Fields: field}, 422},
		{transport.Error{Code: transport.DeadlineExceeded}, 504},
		{transport.Error{Code: transport.NotFound}, 404},
		{transport.Error{Code: transport.AlreadyExists}, 409},
		{transport.Error{Code: transport.PermissionDenied}, 403},
		{transport.Error{Code: transport.Unauthenticated}, 401},
		{transport.Error{Code: transport.ResourceExhausted}, 429},
		{transport.Error{Code: transport.FailedPrecondition}, 400},
		{transport.Error{Code: transport.Aborted}, 409},
		{transport.Error{Code: transport.Unimplemented}, 501},
		{transport.Error{Code: transport.Unavailable}, 503},
		{transport.Error{Code: transport.Internal}, 500},
		{transport.Error{Code: transport.Unknown}, 500},
		{transport.Error{Code: "of-a-later-version"}, 500},
		{transport.Error{}, 500},
	} {
		if got := statusOf(&x.err); got != x.want {
			t.Errorf("statusOf(%s with %d fields) = %d; want %d", x.err.Code, len(x.err.Fields), got, x.want)
		}
		if known := isCode(x.err.Code); known != (x.err.Code != "" && x.err.Code != "of-a-later-version") {
			t.Errorf("isCode(%q) = %v; want the codes of package transport only", x.err.Code, known)
		}
	}
}

func TestAnAnswerWithoutCodeIsMappedByItsStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]transport.Code{
		302: transport.Unknown,
		400: transport.InvalidArgument,
		401: transport.Unauthenticated,
		403: transport.PermissionDenied,
		404: transport.Unimplemented,
		405: transport.Unimplemented,
		408: transport.Unavailable,
		409: transport.Aborted,
		412: transport.FailedPrecondition,
		413: transport.InvalidArgument,
		415: transport.InvalidArgument,
		418: transport.Unknown,
		422: transport.InvalidArgument,
		429: transport.ResourceExhausted,
		431: transport.InvalidArgument,
		499: transport.Canceled,
		500: transport.Internal,
		501: transport.Unimplemented,
		502: transport.Unavailable,
		503: transport.Unavailable,
		504: transport.DeadlineExceeded,
		599: transport.Unknown,
	} {
		if got := codeOf(status); got != want {
			t.Errorf("codeOf(%d) = %s; want %s", status, got, want)
		}
	}
}
