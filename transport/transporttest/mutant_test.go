package transporttest_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestEachDefectOfABrokerBreaksANamedCheck(t *testing.T) {
	lost, doubled, held, invented, misled := each(100), each(50), each(10), each(20), each(7)
	var parked parking
	for _, c := range []struct {
		defect string
		breaks int
		found  string // in the detail
		make   defect
	}{
		{"an ID becomes lower case", 1, "never handled", changing(func(e *transport.Envelope) bool {
			e.ID = strings.ToLower(e.ID)
			return true
		})},
		{"a driver repeats by itself under another id", 4, "nobody sent", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				if twin := *batch[0]; invented() {
					twin.ID += "-again"
					m.Broker.Send(ctx, []*transport.Envelope{&twin})
				}
				return m.Broker.Send(ctx, batch)
			}
		}},
		{"Copy is not part of the identity", 6, "copy r1", ignoringCopies()},
		{"an undeclared address is accepted", 7, "ErrRefused", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				receipts := m.Broker.Send(ctx, batch)
				for i := range receipts {
					receipts[i].Err = nil
				}
				return receipts
			}
		}},
		{"a body that is too large is cut", 8, "ErrRefused", func(m *mutant) {
			changing(func(e *transport.Envelope) bool {
				e.Body = e.Body[:min(len(e.Body), m.Features().MaxBytes-2000)]
				return true
			})(m)
		}},
		{"Send ignores its context", 10, "not stored", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				receipts := m.Broker.Send(context.WithoutCancel(ctx), batch)
				for i := range receipts {
					if ctx.Err() != nil {
						receipts[i].Err = transport.ErrNotSent
					}
				}
				return receipts
			}
		}},
		{"a batch is stored backwards", 11, "out of the order", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				receipts := make([]transport.Receipt, len(batch))
				for i := len(batch) - 1; i >= 0; i-- {
					receipts[i] = m.Broker.Send(ctx, batch[i:i+1])[0]
				}
				return receipts
			}
		}},
		{"one bad envelope spoils its batch", 11, "beside messages", func(m *mutant) {
			m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
				receipts := m.Broker.Send(ctx, batch)
				for i := range receipts {
					for _, r := range receipts {
						if r.Err != nil {
							receipts[i].Err = r.Err
						}
					}
				}
				return receipts
			}
		}},
		{"each 100th message is lost", 12, "never handled", changing(func(*transport.Envelope) bool { return !lost() })},
		{"each 10th message comes after the next of its partition", 12, "out of the order", swapping(held)},
		{"a delivery is settled on arrival", 13, "never handled", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			d.Settle(transport.Done)
			d.Settle = func(transport.Outcome) {}
			take(d)
		})},
		{"NotBefore is cut to seconds", 20, "after its time", changing(func(e *transport.Envelope) bool {
			e.NotBefore = e.NotBefore.Truncate(time.Second)
			return true
		})},
		{"NotBefore is forgotten", 20, "after its time", changing(func(e *transport.Envelope) bool {
			e.NotBefore = time.Time{}
			return true
		})},
		{"a body is read as text", 24, "got Body", changing(func(e *transport.Envelope) bool {
			e.Body = bytes.ToValidUTF8(e.Body, []byte("?"))
			return true
		})},
		{"an empty body is dropped", 24, "never handled", changing(func(e *transport.Envelope) bool { return len(e.Body) > 0 })},
		{"each 50th message goes to two consumers", 27, "more than once", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			take(d)
			if doubled() {
				twin := *d
				twin.Settle = func(transport.Outcome) {}
				take(&twin)
			}
		})},
		{"what a leaving consumer had fetched is lost", 27, "never handled", fetchingAhead(1)},
		{"a copy for one group reaches all", 28, "never handled", changing(func(e *transport.Envelope) bool {
			e.Group = ""
			return true
		})},
		{"Group is not part of the identity", 28, "never handled", ignoringGroups()},
		{"a group without receivers gets nothing", 28, "never handled", forgetful},
		{"Receive does not wait for what is unsettled", 39, "while deliveries were unsettled", impatient},
		{"Receive does not stop fetching", 39, "after its context was done", func(m *mutant) {
			m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
				onwards, cancel := context.WithCancel(context.WithoutCancel(ctx))
				defer cancel()
				context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, cancel) })
				return m.Broker.Receive(onwards, r, take)
			}
		}},
		{"Close leaves a goroutine", 40, "outlive Close", func(m *mutant) {
			go parked.wait()
		}},
		{"header values are trimmed", 43, "got Headers", headers(strings.TrimSpace)},
		{"header values are escaped twice", 43, "got Headers", headers(func(v string) string { return strings.ReplaceAll(v, "%", "%25") })},
		{"line breaks in header values become spaces", 43, "ErrRefused", headers(func(v string) string {
			return strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
		})},
		{"empty headers are dropped", 43, "got Headers", changing(func(e *transport.Envelope) bool {
			e.Headers = maps.Clone(e.Headers)
			maps.DeleteFunc(e.Headers, func(_, v string) bool { return v == "" })
			return true
		})},
		{"baggage is lost on redelivery", 44, "baggage", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			if d.Envelope.Copy != "" {
				delete(d.Envelope.Headers, "baggage")
			}
			take(d)
		})},
		{"a message goes to another partition", 12, "Partition =", taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			if misled() {
				d.Partition = (d.Partition + 1) % 8
			}
			take(d)
		})},
	} {
		t.Run(fmt.Sprintf("%s: %d", c.defect, c.breaks), func(t *testing.T) {
			target := memory(func(b *mem.Broker) transport.Broker {
				m := &mutant{Broker: b}
				c.make(m)
				return m
			})
			wantBroken(t, &parked, transporttest.Brokers(), target, c.breaks, c.found)
		})
	}
}

// wantBroken wants a check to fail on a target, in a bubble, and to say why.
func wantBroken[S any](t *testing.T, parked *parking, suite transporttest.Suite[S], target transporttest.Target[S], number int, found string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		parked.open()
		defer parked.close()
		results := suite.Results(t.Context(), target, transporttest.Options{Only: []int{number}})
		if len(results) != 1 || results[0].Outcome != transporttest.Failed {
			t.Fatalf("check %d of a defective target = %+v; want it failed", number, results)
		}
		if detail := results[0].Detail; !strings.Contains(detail, found) {
			t.Errorf("check %d found\n%s\nwant it to find something with %q", number, detail, found)
		}
	})
}

func TestABrokerThatConfirmsBeforeItStoresBreaksCheck2(t *testing.T) {
	var buffers buffered
	target := memory(func(b *mem.Broker) transport.Broker {
		m := &mutant{Broker: b}
		m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
			for _, e := range buffers.swap(batch) {
				m.Broker.Send(ctx, []*transport.Envelope{e})
			}
			return make([]transport.Receipt, len(batch))
		}
		return m
	})
	target.Declared = nil
	start := target.Start
	target.Start = func(ctx context.Context) (transporttest.Site, func(context.Context) error, error) {
		site, stop, err := start(ctx)
		site.Kill = func(context.Context) error {
			buffers.swap(nil)
			return nil
		}
		return site, stop, err
	}
	var parked parking
	wantBroken(t, &parked, transporttest.Brokers(), target, 2, "never handled")
}

// buffered is what a broker has confirmed and not stored.
type buffered struct {
	mu    sync.Mutex
	batch []*transport.Envelope
}

func (b *buffered) swap(next []*transport.Envelope) (last []*transport.Envelope) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last, b.batch = b.batch, next
	return last
}

// parking is where goroutines wait for the end of a test.
type parking struct{ gate chan struct{} }

func (p *parking) open()  { p.gate = make(chan struct{}) }
func (p *parking) close() { close(p.gate) }
func (p *parking) wait()  { <-p.gate }

func headers(change func(string) string) defect {
	return changing(func(e *transport.Envelope) bool {
		other := make(map[string]string)
		for k, v := range e.Headers {
			other[k] = change(v)
		}
		e.Headers = other
		return true
	})
}

func ignoringCopies() defect {
	return deduping(func(e *transport.Envelope) string { return e.Address + " " + e.ID })
}

func ignoringGroups() defect {
	return deduping(func(e *transport.Envelope) string { return e.Address + " " + e.ID + " " + e.Copy })
}

// deduping stores once what has the same identity, over all connections.
func deduping(identity func(*transport.Envelope) string) defect {
	var mu sync.Mutex
	seen := make(map[string]bool)
	return changing(func(e *transport.Envelope) bool {
		mu.Lock()
		defer mu.Unlock()
		fresh := !seen[identity(e)]
		seen[identity(e)] = true
		return fresh
	})
}

// swapping hands a delivery out after the next one, when hold says so.
func swapping(hold func() bool) defect {
	return func(m *mutant) {
		var mu sync.Mutex
		kept := make(map[int]*transport.Delivery)
		taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			mu.Lock()
			defer mu.Unlock()
			if before := kept[d.Partition]; before != nil {
				delete(kept, d.Partition)
				take(d)
				take(before)
			} else if hold() {
				kept[d.Partition] = d
			} else {
				take(d)
			}
		})(m)
	}
}

// fetchingAhead keeps n deliveries back while Receive runs, and settles them unhandled when it ends.
func fetchingAhead(n int) defect {
	return func(m *mutant) {
		m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
			var mu sync.Mutex
			var ahead []*transport.Delivery
			context.AfterFunc(ctx, func() {
				mu.Lock()
				defer mu.Unlock()
				for _, d := range ahead {
					d.Settle(transport.Done)
				}
			})
			return m.Broker.Receive(ctx, r, func(d *transport.Delivery) {
				mu.Lock()
				defer mu.Unlock()
				if len(ahead) < n {
					ahead = append(ahead, d)
					return
				}
				take(d)
			})
		}
	}
}

// forgetful forgets its group when a Receive ends.
func forgetful(m *mutant) {
	m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
		err := m.Broker.Receive(ctx, r, take)
		_ = m.RemoveGroup(context.WithoutCancel(ctx), r.Channel, r.Group)
		return err
	}
}

// impatient ends a Receive with its context, whatever is unsettled.
func impatient(m *mutant) {
	m.receive = func(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
		ended := make(chan error, 1)
		go func() { ended <- m.Broker.Receive(ctx, r, take) }()
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}
