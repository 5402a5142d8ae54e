package rabbitmq

import (
	"encoding/binary"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Frames of AMQP 0-9-1: type, channel, size, so many bytes, and an end.
const (
	frameMethod    = 1
	frameHeader    = 2
	frameBody      = 3
	frameHeartbeat = 8
	frameEnd       = 0xCE
	frameStart     = 7         // bytes before what is in it
	maxFrame       = 128 << 10 // bytes of one, which the server is told; it may want less
)

// Methods, by class and number.
const (
	basicPublish    = 60<<16 | 40
	basicReturn     = 60<<16 | 50
	basicDeliver    = 60<<16 | 60
	basicAck        = 60<<16 | 80
	basicNack       = 60<<16 | 120
	confirmSelectOK = 85<<16 | 11
)

// Properties of a message, by their flags, in the order in which they come.
const (
	hasContentType     = 1 << 15
	hasContentEncoding = 1 << 14
	hasHeaders         = 1 << 13
	hasDeliveryMode    = 1 << 12
	hasPriority        = 1 << 11
	hasCorrelationID   = 1 << 10
	hasReplyTo         = 1 << 9
	hasExpiration      = 1 << 8
	hasMessageID       = 1 << 7
)

// message is what is published, always as persistent. Content type and ID have maxShort bytes at the most.
type message struct {
	contentType string
	id          string
	headers     table
	body        []byte
}

// delivery is a message that came.
type delivery struct {
	tag uint64
	properties
	body []byte
}

// properties are those of a message that matter here.
type properties struct {
	contentType string
	headers     fields
	correlation string
	id          string
}

// appendPublish appends the frame that publishes a message, whose content follows. Exchange and key have maxShort bytes at
// the most.
func appendPublish(b []byte, channel uint16, exchange, key string, mandatory bool) []byte {
	b, begin := beginFrame(b, frameMethod, channel)
	b = append(binary.BigEndian.AppendUint32(b, basicPublish), 0, 0)
	b = appendShort(appendShort(b, exchange), key)
	bits := byte(0)
	if mandatory {
		bits = 1
	}
	return endFrame(append(b, bits), begin)
}

// appendContent appends the frames of m, none of them longer than limit. The correlation has maxShort bytes at the most.
func appendContent(b []byte, channel uint16, limit int, correlation string, m *message) []byte {
	b, begin := beginFrame(b, frameHeader, channel)
	b = append(b, 0, basicPublish>>16, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(len(m.body)))
	flags := len(b)
	b = append(b, 0, 0)
	has := uint16(hasDeliveryMode)
	if m.contentType != "" {
		has |= hasContentType
		b = appendShort(b, m.contentType)
	}
	if len(m.headers) > 0 {
		has |= hasHeaders
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.headers)))
		b = append(b, m.headers...)
	}
	b = append(b, amqp.Persistent)
	if correlation != "" {
		has |= hasCorrelationID
		b = appendShort(b, correlation)
	}
	if m.id != "" {
		has |= hasMessageID
		b = appendShort(b, m.id)
	}
	binary.BigEndian.PutUint16(b[flags:], has)
	b = endFrame(b, begin)

	for rest := m.body; len(rest) > 0; {
		n := min(len(rest), limit-frameStart-1)
		b, begin = beginFrame(b, frameBody, channel)
		b = endFrame(append(b, rest[:n]...), begin)
		rest = rest[n:]
	}
	return b
}

func beginFrame(b []byte, kind byte, channel uint16) ([]byte, int) {
	return append(b, kind, byte(channel>>8), byte(channel), 0, 0, 0, 0), len(b)
}

func endFrame(b []byte, begin int) []byte {
	binary.BigEndian.PutUint32(b[begin+3:], uint32(len(b)-begin-frameStart))
	return append(b, frameEnd)
}

func appendShort(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// readProperties reads the header of a message's content: the size of its body, and properties.
func readProperties(payload []byte) (size uint64, p properties, ok bool) {
	r := scan{rest: string(payload)}
	r.take(4) // class and weight
	size = r.number(8)
	has := r.number(2)
	if has&hasContentType != 0 {
		p.contentType = r.short()
	}
	if has&hasContentEncoding != 0 {
		r.short()
	}
	if has&hasHeaders != 0 {
		p.headers = fields(r.long())
	}
	if has&hasDeliveryMode != 0 {
		r.take(1)
	}
	if has&hasPriority != 0 {
		r.take(1)
	}
	if has&hasCorrelationID != 0 {
		p.correlation = r.short()
	}
	if has&hasReplyTo != 0 {
		r.short()
	}
	if has&hasExpiration != 0 {
		r.short()
	}
	if has&hasMessageID != 0 {
		p.id = r.short()
	}
	return size, p, !r.failed && has&1 == 0
}
