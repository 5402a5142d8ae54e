package deliverytest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/delivery/deliverytest"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// mutant is a connection to a broker that changes what is sent, or loses it where change answers false, and hands out
// each delivery so often.
type mutant struct {
	*mem.Broker
	change func(*transport.Envelope) bool
	twins  int
}

func (m *mutant) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	receipts := make([]transport.Receipt, len(batch))
	for i, e := range batch {
		other := *e
		if m.change == nil || m.change(&other) {
			receipts[i] = m.Broker.Send(ctx, []*transport.Envelope{&other})[0]
		}
	}
	return receipts
}

func (m *mutant) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	return m.Broker.Receive(ctx, r, func(d *transport.Delivery) {
		for range m.twins {
			twin := *d
			twin.Settle = func(transport.Outcome) {}
			take(&twin)
		}
		take(d)
	})
}

func TestEachDefectUnderDeliveryBreaksANamedCheck(t *testing.T) {
	dead := delivery.DeadLetters().Address
	for _, c := range []struct {
		defect string
		breaks int
		found  string // in the detail
		twins  int
		change func() func(*transport.Envelope) bool
	}{
		{"a delivery is handed out twice", 16, "got 2 attempts; want 1", 1, nil},
		{"dead letters are lost", 17, "dead letter 1", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool { return e.Address != dead }
		}},
		{"attempts are forgotten on the way", 17, "dead letter 1", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Attempt = 0
				return true
			}
		}},
		{"Copy is not part of the identity", 19, "attempt 2", 0, func() func(*transport.Envelope) bool {
			var mu sync.Mutex
			seen := make(map[string]bool)
			return func(e *transport.Envelope) bool {
				mu.Lock()
				defer mu.Unlock()
				fresh := !seen[e.Address+e.ID] || e.Address == dead
				seen[e.Address+e.ID] = true
				return fresh
			}
		}},
		{"delays are forgotten", 20, "late, with restarts", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.NotBefore = time.Time{}
				return true
			}
		}},
		{"bodies are read as text", 23, "got Body", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Body = []byte(strings.ToValidUTF8(string(e.Body), "?"))
				return true
			}
		}},
		{"a retry goes to all groups", 28, "at group stock", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Group = ""
				return true
			}
		}},
		{"later copies have no headers", 44, "got Headers", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				if e.Copy != "" {
					e.Headers = nil
				}
				return true
			}
		}},
	} {
		t.Run(fmt.Sprintf("%s: %d", c.defect, c.breaks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var change func(*transport.Envelope) bool
				if c.change != nil {
					change = c.change()
				}
				target := memory(func(b *mem.Broker) transport.Broker { return &mutant{b, change, c.twins} })
				results := deliverytest.Promises().Results(t.Context(), target, transporttest.Options{Only: []int{c.breaks}})
				if len(results) != 1 || results[0].Outcome != transporttest.Failed || !strings.Contains(results[0].Detail, c.found) {
					t.Errorf("check %d of a defective broker = %+v; want it failed, finding something with %q", c.breaks, results, c.found)
				}
			})
		})
	}
}
