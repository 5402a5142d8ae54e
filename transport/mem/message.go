package mem

import (
	"bytes"
	"maps"
	"time"

	"github.com/parley-io/parley/transport"
)

// message is what the fabric keeps of an envelope.
type message struct {
	envelope  *transport.Envelope // the fabric's own, never changed
	size      int64
	partition int       // -1 = unordered
	sequence  uint64    // its place in the channel, from 1; while it is delayed, among the delayed ones
	accepted  time.Time // when Send brought it
	stored    time.Time // when it got its place: accepted, or when its delay was over
	open      int       // groups of a Queue or Topic that have not handled it
}

func newMessage(e *transport.Envelope) *message {
	return &message{envelope: clone(e), size: int64(e.Size())}
}

func clone(e *transport.Envelope) *transport.Envelope {
	c := *e
	c.Headers = maps.Clone(e.Headers)
	c.Body = bytes.Clone(e.Body)
	return &c
}
