package transporttest_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// rerouting is a defect of what a Receive is told.
func rerouting(change func(r *transport.Route)) defect {
	return func(m *mutant) {
		m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
			change(&r)
			return m.Broker.Receive(ctx, r, take)
		}
	}
}

// Defects of groups, ownership and positions.
func TestEachDefectOfAGroupBreaksANamedCheck(t *testing.T) {
	for _, c := range []struct {
		defect string
		breaks int
		found  string // in the detail
		make   defect
	}{
		{"what is returned comes again at once", 22, "want pauses", func(*mutant) {}},
		{"what is returned is lost", 22, "never handled", settling(func(d *transport.Delivery, o transport.Outcome) { d.Settle(transport.Done) })},
		{"settling is told to the broker 10 s later", 13, "more than once", settling(func(d *transport.Delivery, o transport.Outcome) {
			time.AfterFunc(10*time.Second, func() { d.Settle(o) })
		})},
		{"all processes own all partitions", 26, "the order in which they were sent", sharing},
		{"who has lost a partition does not know it", 26, "thawed process", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			d.Valid, d.Yield, d.Revoked = func() bool { return true }, nil, nil
			take(d)
		})},
		{"what a leaving process was handling is delivered again", 26, "want no repeats", forgetfulLeaver},
		{"the fence is that of the first owner", 26, "larger fence", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			d.Fence = 1
			take(d)
		})},
		{"new groups begin now", 29, "have not come", rerouting(func(r *transport.Route) { r.From = transport.Position{} })},
		{"new groups begin at the start", 29, "unexpected", rerouting(func(r *transport.Route) { r.From = transport.Position{Start: true} })},
		{"a position is the place behind a message", 29, "have not come", rerouting(func(r *transport.Route) {
			if r.From.At != "" {
				r.From.At = next(r.From.At)
			}
		})},
		{"a group that exists begins anew", 29, "unexpected", func(m *mutant) {
			m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
				if r.Group != "" && r.From.Start {
					_ = m.RemoveGroup(ctx, r.Channel, r.Group)
				}
				return m.Broker.Receive(ctx, r, take)
			}
		}},
		{"a stream has no positions", 29, "no Position", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			d.Position = ""
			take(d)
		})},
		{"the end of a range is not kept", 30, "has not returned", rerouting(func(r *transport.Route) { r.Until = transport.Position{} })},
		{"the end of a range is delivered too", 30, "unexpected", rerouting(func(r *transport.Route) {
			if r.Until.At != "" {
				r.Until.At = next(r.Until.At)
			}
		})},
		{"a replay reads for a group", 30, "have not come", rerouting(func(r *transport.Route) {
			if !r.Until.IsZero() {
				r.Group = "working"
			}
		})},
		{"a replay does not wait for a time to come", 30, "before it", rerouting(func(r *transport.Route) {
			if now := time.Now(); r.Until.Time.After(now) {
				r.Until.Time = now
			}
		})},
		{"a send waits for the broker", 35, "a send took", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				receipts := m.Broker.Send(ctx, batch)
				if len(receipts) > 0 && receipts[0].Err != nil {
					time.Sleep(5 * time.Second)
				}
				return receipts
			}
		}},
		{"an absent broker refuses", 35, "worth repeating", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				receipts := m.Broker.Send(ctx, batch)
				for i, r := range receipts {
					if r.Err != nil {
						receipts[i].Err = transport.ErrRefused
					}
				}
				return receipts
			}
		}},
		{"what an absent broker cannot store is confirmed", 35, "was confirmed", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				m.Broker.Send(ctx, batch)
				return make([]transport.Receipt, len(batch))
			}
		}},
		{"Declare does not wait to hear from the broker", 35, "Declare while", func(m *mutant) {
			m.declare = func(ctx context.Context, channels []transport.Channel) error {
				_ = m.Broker.Declare(ctx, channels)
				return nil
			}
		}},
		{"receivers give up while the broker is away", 35, "is not handled", deaf()},
		{"what is returned comes after the next", 47, "out of the order", procrastinating},
	} {
		t.Run(fmt.Sprintf("%s: %d", c.defect, c.breaks), func(t *testing.T) {
			target := memory(func(b *mem.Broker) transport.Broker {
				m := &mutant{Broker: b}
				c.make(m)
				return m
			})
			target.Declared = nil
			var parked parking
			wantBroken(t, &parked, transporttest.Brokers(), target, c.breaks, c.found)
		})
	}
}

// next is the position behind one of mem.
func next(at string) string {
	var n int
	_, _ = fmt.Sscan(at, &n)
	return fmt.Sprint(n + 1)
}

// settling is a defect of settling.
func settling(settle func(*transport.Delivery, transport.Outcome)) defect {
	return taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
		other := *d
		other.Settle = func(o transport.Outcome) { settle(d, o) }
		take(&other)
	})
}

// sharing makes each partition everybody's.
func sharing(m *mutant) {
	m.declare = func(ctx context.Context, channels []transport.Channel) error {
		channels = slices.Clone(channels)
		for i := range channels {
			channels[i].Partitions = 0
		}
		return m.Broker.Declare(ctx, channels)
	}
	rerouting(func(r *transport.Route) { r.Channel.Partitions = 0 })(m)
}

// forgetfulLeaver forgets what was settled after its context was done.
func forgetfulLeaver(m *mutant) {
	m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
		return m.Broker.Receive(ctx, r, func(d *transport.Delivery) {
			other := *d
			other.Settle = func(o transport.Outcome) {
				if ctx.Err() != nil {
					o = transport.Return
				}
				d.Settle(o)
			}
			take(&other)
		})
	}
}

// deaf connections receive nothing any more once one of them has seen that the broker was away. Later ones do.
func deaf() defect {
	var gone atomic.Bool
	return func(m *mutant) {
		if gone.Load() {
			return
		}
		m.declare = func(ctx context.Context, channels []transport.Channel) error {
			err := m.Broker.Declare(ctx, channels)
			if err != nil {
				gone.Store(true)
			}
			return err
		}
		taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			if !gone.Load() {
				take(d)
			}
		})(m)
	}
}

// procrastinating returns a message when the next one has been taken.
func procrastinating(m *mutant) {
	settling(func(d *transport.Delivery, o transport.Outcome) {
		if o == transport.Return {
			time.AfterFunc(time.Millisecond, func() { d.Settle(o) })
			return
		}
		d.Settle(o)
	})(m)
}
