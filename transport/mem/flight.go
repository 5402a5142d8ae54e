package mem

import "github.com/parley-io/parley/transport"

// flight is a message that is delivered to a receiver and not settled.
type flight struct {
	message  *message
	lane     *lane
	receiver *receiver
	tenure   tenure
	fence    uint64
	yield    <-chan struct{} // nil where lanes have no owner
	index    int             // in the group's flights, or landed
}

// landed is the index of a flight that has ended.
const landed = -1

// delivery is the receiver's own view of f.
func (f *flight) delivery() *transport.Delivery {
	return &transport.Delivery{
		Envelope:  clone(f.message.envelope),
		Partition: f.message.partition,
		Position:  f.message.position(),
		Accepted:  f.message.accepted,
		Valid:     f.tenure.valid,
		Fence:     f.fence,
		Yield:     f.yield,
		Revoked:   f.tenure.ended,
		Settle:    f.settle,
	}
}

// settle ignores what comes twice or too late. Any outcome but Done returns the message.
func (f *flight) settle(o transport.Outcome) {
	p := f.receiver.broker.process
	p.fabric.mu.Lock()
	defer p.fabric.mu.Unlock()
	if f.index == landed || !p.pass(BeforeSettle) {
		return
	}
	f.receiver.group.land(f, o)
	p.pass(AfterSettle)
}
