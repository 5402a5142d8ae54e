package mem

import (
	"time"

	"github.com/parley-io/parley/transport"
)

// dedupe remembers the receipts of a window of time, so that a repetition gets the first one's. The zero dedupe
// remembers nothing.
type dedupe struct {
	window   time.Duration
	receipts map[identity]*remembered
	order    fifo[*remembered]
}

// identity is what must be stored once. The group belongs to it: two groups that delay their attempt of the same
// number send the same ID and Copy, and each must get its own.
type identity struct{ id, copy, group string }

type remembered struct {
	identity identity
	receipt  transport.Receipt
	at       time.Time
}

func identityOf(e *transport.Envelope) identity { return identity{e.ID, e.Copy, e.Group} }

func (d *dedupe) find(e *transport.Envelope, now time.Time) (transport.Receipt, bool) {
	for d.order.len() > 0 && now.Sub(d.order.all()[0].at) >= d.window {
		old := d.order.pop()
		if d.receipts[old.identity] == old { // it may have been forgotten and sent anew
			delete(d.receipts, old.identity)
		}
	}
	if r := d.receipts[identityOf(e)]; r != nil {
		return r.receipt, true
	}
	return transport.Receipt{}, false
}

func (d *dedupe) add(e *transport.Envelope, r transport.Receipt, now time.Time) {
	if d.window == 0 {
		return
	}
	if d.receipts == nil {
		d.receipts = make(map[identity]*remembered)
	}
	m := &remembered{identityOf(e), r, now}
	d.receipts[m.identity] = m
	d.order.push(m)
}

// forget lets e be sent again at once.
func (d *dedupe) forget(e *transport.Envelope) { delete(d.receipts, identityOf(e)) }
