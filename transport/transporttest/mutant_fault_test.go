package transporttest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// Defects that show when something is slow, frozen, away or full.
func TestEachDefectUnderAFaultBreaksANamedCheck(t *testing.T) {
	var parked parking
	for _, c := range []struct {
		defect string
		breaks int
		found  string // in the detail
		make   defect
	}{
		{"a send whose connection is lost waits for an answer that never comes", 5, "took", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				receipts := m.Broker.Send(ctx, batch)
				if receipts[0].Err != nil {
					time.Sleep(time.Minute)
				}
				return receipts
			}
		}},
		{"what was in flight when a connection is lost is confirmed", 5, "never handled", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				m.Broker.Send(ctx, batch)
				return make([]transport.Receipt, len(batch))
			}
		}},
		{"a lost connection refuses", 5, "worth repeating", erring(transport.ErrRefused)},
		{"a full channel refuses for good", 9, "it may be repeated", erring(transport.ErrRefused)},
		{"a full channel says nothing", 9, "once it is full", erring(nil)},
		{"what a frozen consumer has is settled for it", 14, "nobody else has got", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			d.Settle(transport.Done)
			d.Settle = func(transport.Outcome) {}
			take(d)
		})},
		{"a consumer that comes and goes gets again what it has settled", 14, "handled 2 times", doubling(func(e *transport.Envelope) bool {
			return e.Source == "after"
		})},
		{"a delivery comes again after the broker's patience", 15, "no other one", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			twin := *d
			time.AfterFunc(10*time.Second, func() {
				if d.Envelope.Source == "long" {
					twin.Settle = func(transport.Outcome) {}
					take(&twin)
				}
			})
			take(d)
		})},
		{"a partition is taken away from who handles for long", 15, "to be given up", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			revoked := make(chan struct{})
			time.AfterFunc(10*time.Second, func() { close(revoked) })
			d.Revoked = revoked
			take(d)
		})},
		{"delays end with the connection that sent them", 21, "never handled", leavingDelays()},
		{"settling is a position", 31, "never handled", committing},
		{"memory holds what waits", 32, "memory grew", func(*mutant) {}},
		{"twice the credit is handed out", 32, "the credit", rerouting(func(r *transport.Route) {
			n, _ := r.Credit.Now()
			r.Credit = transport.NewCredit(2 * n)
		})},
		{"the subscriptions of a connection share one window", 33, "beside subscriptions that are stuck", sharedWindow},
		{"a credit is read once", 34, "raised", rerouting(func(r *transport.Route) {
			if r.Credit != nil {
				n, _ := r.Credit.Now()
				r.Credit = transport.NewCredit(n)
			}
		})},
		{"a credit is only ever raised", 34, "lowered", onlyRaised},
		{"a repeat of another time is another message", 45, "nobody sent", timed()},
		{"Accepted is the sender's clock", 45, "the broker's clock", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			d.Accepted = d.Envelope.Time
			take(d)
		})},
	} {
		t.Run(fmt.Sprintf("%s: %d", c.defect, c.breaks), func(t *testing.T) {
			target := memory(func(b *mem.Broker) transport.Broker {
				m := &mutant{Broker: b}
				c.make(m)
				return m
			})
			target.Declared = nil
			wantBroken(t, &parked, transporttest.Brokers(), target, c.breaks, c.found)
		})
	}
}

// erring has every error of Send be another one.
func erring(with error) defect {
	return func(m *mutant) {
		m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
			receipts := m.Broker.Send(ctx, batch)
			for i, r := range receipts {
				if r.Err != nil {
					receipts[i].Err = with
				}
			}
			return receipts
		}
	}
}

// doubling hands some deliveries out twice.
func doubling(which func(e *transport.Envelope) bool) defect {
	return taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
		twin := *d
		twin.Settle = func(transport.Outcome) {}
		take(d)
		if which(twin.Envelope) {
			take(&twin)
		}
	})
}

// leavingDelays cancels with a connection what it has sent and what is not due yet.
func leavingDelays() defect {
	return func(m *mutant) {
		var mu sync.Mutex
		var sent []*transport.Envelope
		m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, batch...)
			return m.Broker.Send(ctx, batch)
		}
		m.close = func(ctx context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range sent {
				_ = m.CancelDelayed(ctx, transport.Channel{Address: e.Address}, e.ID)
			}
			return m.Broker.Close(ctx)
		}
	}
}

// committing settles with each delivery all that came before it in its partition.
func committing(m *mutant) {
	m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
		var mu sync.Mutex
		open := make(map[int][]func(transport.Outcome)) // by partition, in order
		return m.Broker.Receive(ctx, r, func(d *transport.Delivery) {
			mu.Lock()
			open[d.Partition] = append(open[d.Partition], d.Settle)
			n := len(open[d.Partition])
			mu.Unlock()
			d.Settle = func(o transport.Outcome) {
				mu.Lock()
				defer mu.Unlock()
				for _, settle := range open[d.Partition][:n] {
					settle(o) // once more is ignored
				}
			}
			take(d)
		})
	}
}

// sharedWindow has all Receives of a connection hold 16 deliveries together.
func sharedWindow(m *mutant) {
	window := make(chan struct{}, 16)
	m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
		return m.Broker.Receive(ctx, r, func(d *transport.Delivery) {
			select {
			case window <- struct{}{}:
			case <-ctx.Done():
				d.Settle(transport.Return)
				return
			}
			settle := d.Settle
			d.Settle = func(o transport.Outcome) {
				<-window
				settle(o)
			}
			take(d)
		})
	}
}

// onlyRaised does not heed a credit that is lowered.
func onlyRaised(m *mutant) {
	m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
		theirs, most := r.Credit, 0
		if theirs == nil {
			return m.Broker.Receive(ctx, r, take)
		}
		r.Credit = transport.NewCredit(0)
		over := make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() {
			for {
				n, changed := theirs.Now()
				most = max(most, n)
				r.Credit.Set(most)
				select {
				case <-changed:
				case <-over:
					return
				}
			}
		})
		defer watching.Wait()
		defer close(over)
		return m.Broker.Receive(ctx, r, take)
	}
}

// timed takes messages of one ID and different times for different ones.
func timed() defect {
	var mu sync.Mutex
	first := make(map[string]time.Time)
	return changing(func(e *transport.Envelope) bool {
		mu.Lock()
		defer mu.Unlock()
		if before, ok := first[e.ID]; ok && !before.Equal(e.Time) {
			e.Copy = e.Time.Format(time.RFC3339)
		}
		first[e.ID] = e.Time
		return true
	})
}

// moving is a target whose broker can lose its memory. left stands between the checks and each connection that was made
// before that.
func moving(left func(ctx context.Context) error) transporttest.Target[transporttest.Site] {
	target := memory(nil)
	target.Declared = nil
	target.Start = func(context.Context) (transporttest.Site, func(context.Context) error, error) {
		var mu sync.Mutex
		fabric, lost := mem.New(), make(chan struct{})
		names := 0
		open := func(context.Context) (transport.Broker, error) {
			mu.Lock()
			defer mu.Unlock()
			names++
			now := func() *mem.Broker {
				mu.Lock()
				defer mu.Unlock()
				names++
				return fabric.Process(fmt.Sprintf("p%d", names)).Broker()
			}
			first := fabric.Process(fmt.Sprintf("p%d", names)).Broker()
			m := &mutant{Broker: first}
			second := sync.OnceValue(now)
			current := func() *mem.Broker {
				select {
				case <-lost:
					return second()
				default:
					return first
				}
			}
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				return current().Send(ctx, batch)
			}
			m.declare = func(ctx context.Context, c []transport.Channel) error { return current().Declare(ctx, c) }
			m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
				select {
				case <-lost:
					return second().Receive(ctx, r, take)
				default:
				}
				onwards, cancel := context.WithCancel(ctx)
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- first.Receive(onwards, r, take) }()
				select {
				case err := <-ended:
					return err
				case <-lost:
				}
				cancel()
				<-ended
				return left(ctx)
			}
			return m, nil
		}
		return transporttest.Site{Open: open, Wipe: func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			fabric = mem.New()
			close(lost)
			return nil
		}}, nil, nil
	}
	return target
}

func TestReceiversOfALostChannelEndOrBreakCheck38(t *testing.T) {
	var parked parking
	hangs := moving(func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
	wantBroken(t, &parked, transporttest.Brokers(), hangs, 38, "gets nothing")
	silent := moving(func(context.Context) error { return nil })
	wantBroken(t, &parked, transporttest.Brokers(), silent, 38, "want an error, or that it goes on")
	synctest.Test(t, func(t *testing.T) {
		honest := moving(func(context.Context) error { return transport.ErrNotFound })
		if r := transporttest.Brokers().Results(t.Context(), honest, transporttest.Options{Only: []int{38}}); r[0].Outcome != transporttest.Passed {
			t.Errorf("check 38 of receivers that end with an error = %+v; want it passed", r[0])
		}
	})
}

func TestAUserWithoutRightsWhoIsServedBreaksCheck42(t *testing.T) {
	var parked parking
	for name, c := range map[string]struct {
		denied func(*mutant)
		found  string
	}{
		"may do everything": {func(*mutant) {}, "as a user without rights = <nil>"},
		"takes it for an outage": {func(m *mutant) {
			m.declare = func(context.Context, []transport.Channel) error { return transport.ErrNotSent }
		}, "trying again is useless"},
	} {
		t.Run(name, func(t *testing.T) {
			target := memory(nil)
			target.Declared = nil
			start := target.Start
			target.Start = func(ctx context.Context) (transporttest.Site, func(context.Context) error, error) {
				site, stop, err := start(ctx)
				site.Denied = func(ctx context.Context) (transport.Broker, error) {
					b, err := site.Open(ctx)
					m := &mutant{Broker: b.(*mem.Broker)}
					c.denied(m)
					return m, err
				}
				return site, stop, err
			}
			wantBroken(t, &parked, transporttest.Brokers(), target, 42, c.found)
		})
	}
}
