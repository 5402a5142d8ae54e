package simulate

import (
	"context"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
)

// defective is a connection to a broker with a defect.
type defective struct {
	transport.Broker
	send    func(*transport.Envelope) []*transport.Envelope // what is stored instead; nil = the message
	deliver func(*transport.Delivery)                       // changes what is handed out; nil = nothing
}

func (b *defective) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	if b.send == nil {
		return b.Broker.Send(ctx, batch)
	}
	receipts := make([]transport.Receipt, len(batch))
	for i, e := range batch {
		other := *e
		for _, x := range b.send(&other) {
			receipts[i] = b.Broker.Send(ctx, []*transport.Envelope{x})[0]
		}
	}
	return receipts
}

func (b *defective) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	return b.Broker.Receive(ctx, r, func(d *transport.Delivery) {
		if b.deliver != nil {
			b.deliver(d)
		}
		take(d)
	})
}

// seeds are enough for each of the defects to be met.
const seeds = 150

func TestTheOracleNoticesADefectiveBroker(t *testing.T) {
	t.Parallel()
	one := func(e *transport.Envelope) []*transport.Envelope { return []*transport.Envelope{e} }
	own := func(e *transport.Envelope) bool { return strings.HasPrefix(e.Address, "parley.") }
	for _, c := range []struct {
		defect  string
		found   string
		send    func(*transport.Envelope) []*transport.Envelope
		deliver func(*transport.Delivery)
	}{
		{defect: "confirmed messages are lost", found: "lost: ", send: func(e *transport.Envelope) []*transport.Envelope {
			if e.ID == "m03" && !own(e) {
				return nil
			}
			return one(e)
		}},
		{defect: "dead letters are lost", found: "lost: ", send: func(e *transport.Envelope) []*transport.Envelope {
			if strings.HasPrefix(e.Address, "parley.dead") {
				return nil
			}
			return one(e)
		}},
		{defect: "a message is stored under another id, too", found: "never sent there", send: func(e *transport.Envelope) []*transport.Envelope {
			twin := *e
			twin.ID += "-twin"
			if own(e) {
				return one(e)
			}
			return []*transport.Envelope{e, &twin}
		}},
		{defect: "a message is stored as another copy, too", found: "nobody makes such a copy", send: func(e *transport.Envelope) []*transport.Envelope {
			if !own(e) && e.Copy == "" {
				twin := *e
				twin.Copy = "a1"
				return []*transport.Envelope{e, &twin}
			}
			return one(e)
		}},
		{defect: "bodies are changed", found: "want what was sent", send: func(e *transport.Envelope) []*transport.Envelope {
			if !own(e) {
				e.Body = append([]byte(nil), e.Body[:len(e.Body)-1]...)
			}
			return one(e)
		}},
		{defect: "headers get lost on later copies", found: "want what was sent", send: func(e *transport.Envelope) []*transport.Envelope {
			if !own(e) && e.Copy != "" {
				e.Headers = nil
			}
			return one(e)
		}},
		{defect: "attempts get lost", found: "", send: func(e *transport.Envelope) []*transport.Envelope {
			e.Attempt = 0
			return one(e)
		}},
		{defect: "one group's retry goes to all", found: "of this receiver failed before", send: func(e *transport.Envelope) []*transport.Envelope {
			e.Group = ""
			return one(e)
		}},
		{defect: "what is settled comes again", found: "nothing had happened to that process", deliver: func(d *transport.Delivery) {
			if settle := d.Settle; d.Envelope.ID == "m02" {
				again := true
				d.Settle = func(o transport.Outcome) {
					if o == transport.Done && again {
						again, o = false, transport.Return
					}
					settle(o)
				}
			}
		}},
		{defect: "the guard lets a zombie pass", found: "", deliver: func(d *transport.Delivery) {
			d.Valid, d.Revoked, d.Yield = func() bool { return true }, nil, nil
		}},
	} {
		t.Run(c.defect, func(t *testing.T) {
			t.Parallel()
			var other []string
			for seed := range uint64(seeds) {
				s := New(seed)
				s.under = func(b transport.Broker) transport.Broker { return &defective{b, c.send, c.deliver} }
				for _, complaint := range s.Play(t).Broken {
					if strings.Contains(complaint, c.found) {
						return
					}
					other = append(other, complaint)
				}
			}
			t.Errorf("no complaint with %q in %d schedules; got %q", c.found, seeds, other[:min(len(other), 3)])
		})
	}
}

func TestAScheduleFollowsFromItsSeedAndIsMadeSmaller(t *testing.T) {
	t.Parallel()
	if a, b := New(7).String(), New(7).String(); a != b {
		t.Errorf("New(7) = %s\nand then %s; want the same", a, b)
	}
	s := New(8) // without faults
	s.under = func(b transport.Broker) transport.Broker {
		return &defective{b, func(e *transport.Envelope) []*transport.Envelope {
			if e.ID == "m03" {
				return nil
			}
			return []*transport.Envelope{e}
		}, nil}
	}
	small, r, ok := Shrink(t, s, 1)
	if !ok || len(small.Steps) != 1 || !strings.Contains(small.Steps[0].Text, "send m03") || len(r.Broken) == 0 || len(r.Story) == 0 {
		t.Errorf("Shrink = %v, %v, %t; want the one step that sends m03, what it breaks and how", small, r, ok)
	}
	if n := small.Numbers(); len(n) == 1 && New(8).Only(n).String() != small.String() {
		t.Errorf("Only(%v) = %s; want %s", n, New(8).Only(n), small)
	}
	if _, _, ok := Shrink(t, New(8), 1); ok {
		t.Error("Shrink of a schedule that breaks nothing = true; want false")
	}
}
