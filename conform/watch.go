package conform

import (
	"context"
	"hash/fnv"
	"io"
	"time"

	"github.com/parley-io/parley/transport"
)

// watched is a broker whose traffic is noted in a diary.
type watched struct {
	transport.Broker
	transport.Operator
	diary diary
}

// diary takes what one process sees of the traffic. Safe for concurrent use.
type diary interface {
	// note is about a message.
	note(what kind, message uint64, at time.Time)
	// route is about something that was declared or received from.
	route(r transport.Route)
}

// kind is what happened to a message.
type kind byte

const (
	sent    kind = 's' // it is stored; the time is that of the sending, or its NotBefore
	handled kind = 'h'
)

// watch notes the traffic of b. Every broker of ours is an Operator too.
func watch(b transport.Broker, d diary) transport.Broker {
	operator, _ := b.(transport.Operator)
	return &watched{b, operator, d}
}

func (w *watched) Declare(ctx context.Context, channels []transport.Channel) error {
	for _, c := range channels {
		w.known(transport.Route{Channel: c})
	}
	return w.Broker.Declare(ctx, channels)
}

// known notes what a broker may be asked to delete. What is invalid it does not make.
func (w *watched) known(r transport.Route) {
	if r.Channel.Validate() == nil && (r.Group == "" || transport.CheckGroup(r.Group) == nil) {
		w.diary.route(transport.Route{Channel: r.Channel, Group: r.Group})
	}
}

func (w *watched) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	began := time.Now()
	receipts := w.Broker.Send(ctx, batch)
	for i, r := range receipts {
		if r.Err != nil || i >= len(batch) {
			continue
		}
		due := began
		if batch[i].NotBefore.After(due) {
			due = batch[i].NotBefore
		}
		w.diary.note(sent, number(batch[i]), due)
	}
	return receipts
}

func (w *watched) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	w.known(r)
	return w.Broker.Receive(ctx, r, func(d *transport.Delivery) {
		seen, message := *d, number(d.Envelope)
		seen.Settle = func(o transport.Outcome) {
			if o == transport.Done {
				w.diary.note(handled, message, time.Now())
			}
			d.Settle(o)
		}
		take(&seen)
	})
}

// number is what tells messages apart as brokers must, the same in every process.
func number(e *transport.Envelope) uint64 {
	h := fnv.New64a()
	for _, word := range []string{e.Address, e.ID, e.Copy, e.Group} {
		_, _ = io.WriteString(h, word+"\x00") // a hash never fails
	}
	return h.Sum64()
}
