package nats

import (
	"errors"
	"testing"

	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
)

func TestWhatTheServerAnswersIsTyped(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name string
		code int // HTTP's
		err  int
		is   error // nil = the outcome is unknown
		as   transport.Code
	}{
		{"a full channel", 503, codeStoreFailed, transport.ErrNotSent, transport.ResourceExhausted},
		{"a full account", 400, codeAccountFull, transport.ErrNotSent, transport.ResourceExhausted},
		{"a full server", 503, codeServerFull, transport.ErrNotSent, transport.ResourceExhausted},
		{"a full disk", 500, codeStorageFull, transport.ErrNotSent, transport.ResourceExhausted},
		{"a body that is too large", 400, codeTooLarge, transport.ErrRefused, transport.InvalidArgument},
		{"headers that are too large", 400, codeHeadersTooLarge, transport.ErrRefused, transport.InvalidArgument},
		{"a sealed stream", 400, codeSealed, transport.ErrRefused, transport.Unknown},
		{"a message whose twin is being stored", 409, codeInProcess, nil, transport.Unknown},
		{"too much at once", 429, 10167, transport.ErrNotSent, transport.Unknown},
		{"a server that is busy", 503, 10008, transport.ErrNotSent, transport.Unknown},
	} {
		err := answered(&serverError{Code: x.code, ErrCode: x.err, Description: x.name})
		switch {
		case x.is == nil && !unknown(err):
			t.Errorf("%s: %v; want an unknown outcome", x.name, err)
		case x.is != nil && !errors.Is(err, x.is):
			t.Errorf("%s: %v; want %v", x.name, err, x.is)
		case transport.CodeOf(err) != x.as:
			t.Errorf("%s: code %s; want %s", x.name, transport.CodeOf(err), x.as)
		}
	}
	away := errors.New("the disk is full")
	err := unwritten(natsio.ErrReconnectBufExceeded, away)
	if !errors.Is(err, transport.ErrNotSent) || transport.CodeOf(err) != transport.Unavailable || !errors.Is(err, away) {
		t.Errorf("without a connection: %v (%s); want ErrNotSent, %s and why", err, transport.CodeOf(err), transport.Unavailable)
	}
	if err := unwritten(natsio.ErrMaxPayload, nil); !errors.Is(err, transport.ErrRefused) || transport.CodeOf(err) != transport.InvalidArgument {
		t.Errorf("more than the server takes: %v (%s); want ErrRefused and %s", err, transport.CodeOf(err), transport.InvalidArgument)
	}
}
