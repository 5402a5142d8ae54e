package transport_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/parley-io/parley/transport"
)

func TestErrorsAreMatchedByNameOrByCode(t *testing.T) {
	t.Parallel()
	declared := &transport.Error{Code: transport.FailedPrecondition, Name: "orders.v1.out-of-stock", Message: "none left", Cause: io.EOF}
	wrapped := fmt.Errorf("quote: %w", declared)
	for _, c := range []struct {
		what   string
		target error
		want   bool
	}{
		{"its name", &transport.Error{Name: "orders.v1.out-of-stock"}, true},
		{"its name with another code", &transport.Error{Name: "orders.v1.out-of-stock", Code: transport.Internal}, true},
		{"another name with its code", &transport.Error{Name: "orders.v1.gone", Code: transport.FailedPrecondition}, false},
		{"its code alone", &transport.Error{Code: transport.FailedPrecondition}, true},
		{"another code", &transport.Error{Code: transport.Internal}, false},
		{"its code with a message", &transport.Error{Code: transport.FailedPrecondition, Message: "none left"}, false},
		{"its cause", io.EOF, true},
		{"another cause", io.ErrUnexpectedEOF, false},
	} {
		if got := errors.Is(wrapped, c.target); got != c.want {
			t.Errorf("errors.Is with %s = %v, want %v", c.what, got, c.want)
		}
	}
}

func TestTheTextOfAnErrorSaysWhatWasAttemptedAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*transport.Error{
		"unavailable": {Code: transport.Unavailable},
		"orders.v1.quote: deadline-exceeded: no answer within 5s (peer http://10.0.0.7)": {
			Code: transport.DeadlineExceeded, Address: "orders.v1.quote", Message: "no answer within 5s", Peer: "http://10.0.0.7"},
		"orders.v1.out-of-stock: none left": {Code: transport.FailedPrecondition, Name: "orders.v1.out-of-stock", Message: "none left"},
		"invalid-argument: items[0].sku: missing; body: too deep": {Code: transport.InvalidArgument,
			Fields: []transport.Field{{Path: "items[0].sku", Message: "missing"}, {Message: "too deep"}}},
		"unavailable: cannot dial: EOF":      {Code: transport.Unavailable, Message: "cannot dial", Cause: io.EOF},
		"unavailable: cannot dial: EOF seen": {Code: transport.Unavailable, Message: "cannot dial: EOF seen", Cause: io.EOF},
	} {
		if got := e.Error(); got != want {
			t.Errorf("Error = %q, want %q", got, want)
		}
	}
}

func TestTheCodeOfAnyErrorIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want transport.Code
	}{
		{nil, ""},
		{io.EOF, transport.Unknown},
		{&transport.Error{Code: transport.NotFound}, transport.NotFound},
		{errors.Join(io.EOF, fmt.Errorf("get: %w", &transport.Error{Code: transport.Aborted})), transport.Aborted},
	} {
		if got := transport.CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
