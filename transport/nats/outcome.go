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

// answered says what an answer that is an error means for repeating. A server that answers so has stored nothing.
func answered(e *serverError) error {
	switch e.ErrCode {
	case codeTooLarge, codeHeadersTooLarge, codeSealed, codeOtherStream:
		return fmt.Errorf("%w: %w", transport.ErrRefused, e)
	case codeStoreFailed:
		return fmt.Errorf("%w: the channel is full: %w", transport.ErrNotSent, e)
	}
	if e.Code >= 400 && e.Code < 500 && e.Code != 429 && !errorIsFull(e) { // 429: too much at once
		return fmt.Errorf("%w: %w", transport.ErrRefused, e)
	}
	return fmt.Errorf("%w: %w", transport.ErrNotSent, e)
}

// errorIsFull: what the account or the server may hold is used up (10002 account, 10023, 10028, 10047 server).
func errorIsFull(e *serverError) bool {
	switch e.ErrCode {
	case 10002, 10023, 10028, 10047:
		return true
	}
	return false
}

// unwritten says what an error of writing a message to the connection means.
func unwritten(err error) error {
	switch {
	case errors.Is(err, natsio.ErrMaxPayload), errors.Is(err, natsio.ErrBadSubject), errors.Is(err, natsio.ErrHeadersNotSupported):
		return fmt.Errorf("%w: %w", transport.ErrRefused, err)
	case errors.Is(err, natsio.ErrReconnectBufExceeded):
		return fmt.Errorf("%w: no connection to the server", transport.ErrNotSent)
	case errors.Is(err, natsio.ErrConnectionClosed), errors.Is(err, natsio.ErrConnectionDraining), errors.Is(err, natsio.ErrInvalidConnection):
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
	return fmt.Errorf("outcome unknown: %w", err) // the socket broke while it was written
}

// unbegun is unwritten for a batch without its end, of which the server stores nothing.
func unbegun(err error) error {
	if told := unwritten(err); errors.Is(told, transport.ErrRefused) || errors.Is(told, transport.ErrNotSent) {
		return told
	}
	return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
}
