package rabbitmq

import (
	"fmt"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	attributeStart = "cloudEvents:"
	otherStart     = "cloudEvents_" // the binding allows both
	// sentHeader is when a message of a stream was sent, in nanoseconds of Unix time by the sender's clock; for what is
	// delayed, its NotBefore. A stream's own times have seconds only.
	sentHeader = "x-parley-sent"
	maxShort   = 255 // bytes of a short string of AMQP
	// usualHeaders is room for the headers of most messages, in bytes.
	usualHeaders = 512
)

// encode makes the message that e is on the wire.
func encode(e *transport.Envelope) (message, error) {
	m := message{headers: make(table, 0, usualHeaders), contentType: e.ContentType, id: e.ID, body: e.Body}
	for name, value := range e.Attributes {
		if name != "datacontenttype" {
			m.headers.putText(attributeStart, name, value)
		}
	}
	if size := len(m.headers); size > MaxHeaders {
		return m, fmt.Errorf("%w: attributes of %d bytes on the wire: want at most %d", transport.ErrRefused, size, MaxHeaders)
	}
	if len(m.contentType) > maxShort {
		return m, fmt.Errorf("%w: content type of %d bytes: want at most %d", transport.ErrRefused, len(m.contentType), maxShort)
	}
	return m, nil
}

// stamp notes in a stream's message when it was sent.
func stamp(m *message, e *transport.Envelope, now time.Time) {
	if e.NotBefore.After(now) {
		now = e.NotBefore
	}
	m.headers.putNumber(sentHeader, now.UnixNano())
}
