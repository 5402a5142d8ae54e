package nats

import (
	"cmp"
	"sync/atomic"
	"time"

	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
)

// entry is a message in a receiver's hands.
type entry struct {
	receiver *receiver
	msg      *natsio.Msg
	meta     *natsio.MsgMetadata
	created  time.Time // when its stream was
	over     atomic.Bool
	outcome  transport.Outcome // once over
}

// later is Return, but not at once: after moverPause.
const later transport.Outcome = 255

func (e *entry) sequence() uint64 { return e.meta.Sequence.Stream }

// settle ends an entry; a second time it does nothing.
func (e *entry) settle(o transport.Outcome) {
	if e.over.Swap(true) {
		return
	}
	r := e.receiver
	r.window.put()
	r.mu.Lock()
	e.outcome = o
	r.settled = append(r.settled, e)
	n := len(r.settled)
	r.mu.Unlock()
	switch {
	case o != transport.Done || n >= int(r.many.Load()):
		r.kick()
	case n == 1:
		r.soon.Reset(gatherAcks)
	}
}

func (e *entry) delivery(c transport.Channel) *transport.Delivery {
	b, own := e.receiver.b, e.receiver.own
	d := &transport.Delivery{
		Envelope:  decode(c.Address, e.receiver.stream, e.sequence(), e.msg),
		Partition: b.names.partition(c, e.msg.Subject),
		Position:  position(e.sequence()),
		Accepted:  e.meta.Timestamp,
		Valid:     b.valid,
		Settle:    e.settle,
	}
	if own != nil {
		d.Valid, d.Fence, d.Yield, d.Revoked = own.valid, own.fence, own.yield, own.revoked
	}
	return d
}

func bySequence(a, b *entry) int { return cmp.Compare(a.sequence(), b.sequence()) }
