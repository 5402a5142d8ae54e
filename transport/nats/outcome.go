package nats

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
)

// confirmation is the server's answer to a message or to an atomic batch.
type confirmation struct {
	Seq   uint64       `json:"seq"`
	Count uint64       `json:"count"` // of a batch
	Error *serverError `json:"error"`
}

type serverError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *serverError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// The server's error codes that matter here.
const (
	codeStoreFailed     = 10077 // full, if it says so: any other failure to store is not answered at all
	codeTooLarge        = 10054
	codeHeadersTooLarge = 10097
	codeSealed          = 10109
	codeOtherStream     = 10060
	codeAccountFull     = 10002
	codeServerFull      = 10023
	codeMemoryFull      = 10028
	codeStorageFull     = 10047
	codeInProcess       = 10158 // of a cluster: a message of that identity has come and is not stored yet
)

// parse reads the server's answer to a message.
func parse(m *natsio.Msg) (c confirmation, err error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return c, fmt.Errorf("%w: no stream takes it: the channel was deleted, or the server is still starting", transport.ErrNotSent)
	}
	if err := json.Unmarshal(m.Data, &c); err != nil {
		return c, fmt.Errorf("outcome unknown: the server's answer cannot be read: %w", err)
	}
	if c.Error != nil {
		return c, answered(c.Error)
	}
	return c, nil
}

// answered says what an answer that is an error means for repeating. A server that answers so has stored nothing of it.
func answered(e *serverError) error {
	switch e.ErrCode {
	case codeInProcess:
		return fmt.Errorf("outcome unknown: %w", e)
	case codeTooLarge, codeHeadersTooLarge:
		return tooLarge(e.Error())
	case codeSealed, codeOtherStream:
		return fmt.Errorf("%w: %w", transport.ErrRefused, e)
	case codeStoreFailed:
		return full("the channel is full: let its receivers catch up, or declare it with more RetainBytes", e)
	case codeAccountFull, codeServerFull, codeMemoryFull, codeStorageFull:
		return full("the server may keep no more: let receivers catch up, remove groups that nobody needs, or raise its limit", e)
	}
	if e.Code >= 400 && e.Code < 500 && e.Code != 429 { // 429: too much at once
		return fmt.Errorf("%w: %w", transport.ErrRefused, e)
	}
	return fmt.Errorf("%w: %w", transport.ErrNotSent, e)
}

// full is the error of a message that is not stored because there is no room for it. It may be repeated.
func full(message string, cause error) error {
	return fmt.Errorf("%w: %w", transport.ErrNotSent, &transport.Error{
		Code: transport.ResourceExhausted, Message: message, NotSent: true, Cause: cause,
	})
}

// tooLarge is the error of a message that never will be stored because of its size.
func tooLarge(message string) error {
	return fmt.Errorf("%w: %w", transport.ErrRefused, &transport.Error{
		Code: transport.InvalidArgument, Message: message, NotSent: true,
	})
}

// unwritten says what an error of writing a message to the connection means. If there is none, away says why, nil = it is
// not known.
func unwritten(err, away error) error {
	switch {
	case errors.Is(err, natsio.ErrMaxPayload):
		return tooLarge("larger than the server's max_payload with its headers")
	case errors.Is(err, natsio.ErrBadSubject), errors.Is(err, natsio.ErrHeadersNotSupported):
		return fmt.Errorf("%w: %w", transport.ErrRefused, err)
	case errors.Is(err, natsio.ErrReconnectBufExceeded):
		return fmt.Errorf("%w: %w", transport.ErrNotSent, &transport.Error{
			Code: transport.Unavailable, Message: "no connection to the server", NotSent: true, Cause: away,
		})
	case errors.Is(err, natsio.ErrConnectionClosed), errors.Is(err, natsio.ErrConnectionDraining), errors.Is(err, natsio.ErrInvalidConnection):
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
	return fmt.Errorf("outcome unknown: %w", err) // the socket broke while it was written
}

// unbegun is unwritten for a batch without its end, of which the server stores nothing.
func unbegun(err, away error) error {
	if told := unwritten(err, away); errors.Is(told, transport.ErrRefused) || errors.Is(told, transport.ErrNotSent) {
		return told
	}
	return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
}
