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
// each delivery so often. A greedy one knows no credit.
type mutant struct {
	*mem.Broker
	change func(*transport.Envelope) bool
	twins  int
	greedy bool
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
	if m.greedy {
		r.Credit = nil
	}
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
		greedy bool
	}{
		{"a delivery is handed out twice", 16, "got 2 attempts; want 1", 1, nil, false},
		{"dead letters are lost", 17, "dead letter 1", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool { return e.Address != dead }
		}, false},
		{"attempts are forgotten on the way", 17, "dead letter 1", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Attempt = 0
				return true
			}
		}, false},
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
		}, false},
		{"delays are forgotten", 20, "late, with restarts", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.NotBefore = time.Time{}
				return true
			}
		}, false},
		{"bodies are read as text", 23, "got Body", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Body = []byte(strings.ToValidUTF8(string(e.Body), "?"))
				return true
			}
		}, false},
		{"a retry goes to all groups", 28, "at group stock", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Group = ""
				return true
			}
		}, false},
		{"later copies have no headers", 44, "got Headers", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				if e.Copy != "" {
					e.Headers = nil
				}
				return true
			}
		}, false},
		{"a delivery is handed out twice", 18, "got 2 attempts; want exactly 1", 1, nil, false},
		{"a delivery is handed out twice", 34, "handled once", 1, nil, false},
		{"a delivery is handed out twice", 47, "none of these begun", 1, nil, false},
		{"a delivery is handed out twice", 48, "at the end", 1, nil, false},
		{"delays are forgotten", 21, "before its time", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.NotBefore = time.Time{}
				return true
			}
		}, false},
		{"lifetimes are forgotten", 25, "handled after its lifetime", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Lifetime = 0
				return true
			}
		}, false},
		{"keys are forgotten", 26, "dead letter 1 of a-2", 0, func() func(*transport.Envelope) bool {
			return func(e *transport.Envelope) bool {
				e.Key = ""
				return true
			}
		}, false},
		{"what is stored about stopped keys is lost", 26, "attempt 1 of b-0", 0, func() func(*transport.Envelope) bool {
			keys := delivery.StoppedKeys().Address
			return func(e *transport.Envelope) bool { return e.Address != keys }
		}, false},
		{"credit is ignored", 32, "whose handlers are stuck", 0, nil, true},
	} {
		t.Run(fmt.Sprintf("%s: %d", c.defect, c.breaks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var change func(*transport.Envelope) bool
				if c.change != nil {
					change = c.change()
				}
				target := memory(func(b *mem.Broker) transport.Broker { return &mutant{b, change, c.twins, c.greedy} })
				results := deliverytest.Promises().Results(t.Context(), target, transporttest.Options{Only: []int{c.breaks}})
				if len(results) != 1 || results[0].Outcome != transporttest.Failed || !strings.Contains(results[0].Detail, c.found) {
					t.Errorf("check %d of a defective broker = %+v; want it failed, finding something with %q", c.breaks, results, c.found)
				}
			})
		})
	}
}
