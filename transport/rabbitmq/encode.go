package rabbitmq

import (
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

const (
	attributeStart = "cloudEvents:"
	otherStart     = "cloudEvents_" // the binding allows both
	// sentHeader is when a message of a stream was sent, in nanoseconds of Unix time by the sender's clock; for what is
	// delayed, its NotBefore. A stream's own times have seconds only.
	sentHeader = "x-parley-sent"
	maxShort   = 255 // bytes of a short string of AMQP
)

// encode makes the message that e is on the wire.
func encode(e *transport.Envelope) (amqp.Publishing, error) {
	p := amqp.Publishing{
		Headers: make(amqp.Table, 16), ContentType: e.ContentType, DeliveryMode: amqp.Persistent, MessageId: e.ID, Body: e.Body,
	}
	size := 0
	for name, value := range e.Attributes {
		if name == "datacontenttype" {
			continue
		}
		name = attributeStart + name
		p.Headers[name] = value
		size += 1 + len(name) + 1 + 4 + len(value)
	}
	if size > MaxHeaders {
		return p, fmt.Errorf("%w: attributes of %d bytes on the wire: want at most %d", transport.ErrRefused, size, MaxHeaders)
	}
	if len(p.ContentType) > maxShort {
		return p, fmt.Errorf("%w: content type of %d bytes: want at most %d", transport.ErrRefused, len(p.ContentType), maxShort)
	}
	return p, nil
}

// stamp notes in a stream's message when it was sent.
func stamp(p *amqp.Publishing, e *transport.Envelope, now time.Time) {
	if e.NotBefore.After(now) {
		now = e.NotBefore
	}
	p.Headers[sentHeader] = now.UnixNano()
}

// sent is the reverse of stamp; 0 = there is none.
func sent(d *amqp.Delivery) int64 {
	ns, _ := d.Headers[sentHeader].(int64)
	return ns
}
