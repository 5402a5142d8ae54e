package nats

import (
	"fmt"
	"math"

	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
)

const (
	attributeStart = "ce-"
	contentType    = "content-type"
)

// encode makes the message that e is on the wire, without its subject. "ce-traceparent" carries the trace, never
// "traceparent": the server would take that for its own and build a map of all headers for each sampled message.
func encode(e *transport.Envelope) (*message, error) {
	h := make(natsio.Header, 16)
	size := len("NATS/1.0\r\n\r\n")
	for name, value := range e.Attributes {
		key := contentType
		if name != "datacontenttype" {
			key, value = attributeStart+name, transport.EscapeAttribute(value)
		}
		h[key] = []string{value}
		size += len(key) + len(value) + len(": \r\n")
	}
	id := identity(e)
	h[natsio.MsgIdHdr] = []string{id}
	size += len(natsio.MsgIdHdr) + len(id)
	if room := math.MaxUint16 - 1024; size > room { // JetStream's limit, less what is added on the way
		return nil, tooLarge(fmt.Sprintf("headers of %d bytes on the wire: want at most %d", size, room))
	}
	return &message{natsio.Msg{Header: h, Data: e.Body}}, nil
}
