package mem_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// payments is a service as a user would write it: it takes the payment of each order and remembers which it has taken.
type payments struct {
	mu    sync.Mutex
	taken []string
}

var takePayment = transport.Channel{Address: "payments.v1.take", Pattern: transport.Queue, Partitions: 4}

// run handles commands on one process until ctx is done or the process dies.
func (s *payments) run(ctx context.Context, p *mem.Process) error {
	oneAtATime := transport.NewCredit(1)
	return p.Broker().Receive(ctx, transport.Route{Channel: takePayment, Credit: oneAtATime}, func(d *transport.Delivery) {
		go func() {
			if !d.Valid() {
				return // somebody else has it now
			}
			time.Sleep(10 * time.Second) // the bank is slow; here it takes no time
			s.mu.Lock()
			s.taken = append(s.taken, d.Envelope.ID)
			s.mu.Unlock()
			d.Settle(transport.Done)
		}()
	})
}

// This is how a service is killed in the middle of its work, and what the test may then expect: the message that was
// handled but not settled comes again, in its place, and nothing is lost.
func TestAServiceIsKilledInTheMiddleAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		shop, worker := fabric.Process("shop"), fabric.Process("payments-1")
		if err := shop.Broker().Declare(t.Context(), []transport.Channel{takePayment}); err != nil {
			t.Fatal(err)
		}

		// The worker dies when it settles for the second time: the payment is taken, but the broker does not know it.
		worker.CrashAt(mem.BeforeSettle, 2)
		var service payments
		first := make(chan error, 1)
		go func() { first <- service.run(t.Context(), worker) }()

		for _, order := range []string{"order-1", "order-2", "order-3"} {
			receipt := shop.Broker().Send(t.Context(), []*transport.Envelope{{ID: order, Key: order, Address: takePayment.Address}})[0]
			if receipt.Err != nil {
				t.Fatal(receipt.Err)
			}
			time.Sleep(time.Minute) // virtual
		}
		<-worker.Dead()
		t.Log("the worker ended with:", <-first)

		// The restart gets what the dead process had not settled, then what waited.
		ctx, stop := context.WithCancel(t.Context())
		second := make(chan error, 1)
		go func() { second <- service.run(ctx, fabric.Process("payments-1")) }()
		time.Sleep(time.Minute)
		stop()
		if err := <-second; err != nil {
			t.Errorf("Receive = %v, want nil after an orderly end", err)
		}
		if got, want := fmt.Sprint(service.taken), "[order-1 order-2 order-2 order-3]"; got != want {
			t.Errorf("payments taken = %v, want %v: one twice, none lost", got, want)
		}
		if waiting, _, err := shop.Broker().Backlog(t.Context(), takePayment, ""); waiting != 0 || err != nil {
			t.Errorf("Backlog = %d, %v; want 0: all is settled", waiting, err)
		}
	})
}
