package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestANewcomerGetsItsPartitionsAsSoonAsWhatRunsHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		first, second := fabric.Process("first").Broker(), fabric.Process("second").Broker()
		var here, there, all calls
		work := func(mine *calls) delivery.Subscription {
			return delivery.Subscription{Channel: keyed, Concurrency: 4, Handle: func(_ context.Context, e *transport.Envelope) error {
				mine.add(e)
				all.add(e)
				if strings.HasSuffix(e.ID, "-0") && mine == &here {
					return errOut // again after 1 s, 5 s, 30 s: not a reason to keep a partition
				}
				time.Sleep(time.Second)
				return nil
			}}
		}
		start(t, first, rec, work(&here))
		const keys, each = 16, 4
		for n := range each {
			for k := range keys {
				send(t, first, withKey(to(keyed, fmt.Sprintf("k%d-%d", k, n)), fmt.Sprint("k", k)))
			}
		}
		time.Sleep(8 * time.Second)
		start(t, second, rec, work(&there))
		time.Sleep(1200 * time.Millisecond)
		if there.count() == 0 {
			t.Error("the newcomer has handled nothing 1.2 s after it came; want its share once handlers of 1 s have ended")
		}
		time.Sleep(5 * time.Minute)
		for k := range keys {
			var order []string
			for _, id := range all.ids() {
				if key, _, _ := strings.Cut(id, "-"); key == fmt.Sprint("k", k) && !slices.Contains(order, id) {
					order = append(order, id)
				}
			}
			if !slices.IsSorted(order) || len(order) != each {
				t.Errorf("key k%d was begun in the order %v; want all %d in order", k, order, each)
			}
		}
		var repeated []string
		for _, id := range all.ids() {
			if !strings.HasSuffix(id, "-0") {
				repeated = append(repeated, id)
			}
		}
		if n := len(repeated); n != keys*(each-1) {
			t.Errorf("%d runs of messages that never fail; want %d, each once", n, keys*(each-1))
		}
	})
}

// onePartition is a broker of one partition that passes to another instance when the test says so.
type onePartition struct {
	transport.Broker
	deliveries chan *transport.Delivery
}

func (o *onePartition) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	r.Ready()
	for {
		select {
		case d := <-o.deliveries:
			take(d)
		case <-ctx.Done():
			return nil
		}
	}
}

func TestAPartitionThatPassesIsGivenBackInOrderAndWhatRunsMayEnd(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := &onePartition{Broker: fabric.Process("p").Broker(), deliveries: make(chan *transport.Delivery)}
		ended := make(chan struct{})
		c := start(t, b, rec, delivery.Subscription{Channel: keyed, Concurrency: 2, Handle: func(ctx context.Context, e *transport.Envelope) error {
			if e.ID == "waits" {
				return errOut
			}
			select {
			case <-ended:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		yield, kept := make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		var log []string
		deliver := func(id, key string, yield chan struct{}) {
			b.deliveries <- &transport.Delivery{
				Envelope: withKey(to(keyed, id), key), Yield: yield, Valid: func() bool { return true },
				Settle: func(o transport.Outcome) {
					mu.Lock()
					defer mu.Unlock()
					log = append(log, fmt.Sprint(id, "=", o))
				},
			}
			synctest.Wait()
		}
		deliver("runs", "a", yield)
		deliver("a2", "a", yield)
		deliver("waits", "b", yield)
		time.Sleep(500 * time.Millisecond) // its immediate retries are over
		deliver("b2", "b", yield)
		deliver("c1", "c", kept) // of another partition
		deliver("d1", "d", yield)
		close(yield)
		synctest.Wait()
		slices.Sort(log) // of several keys; 2 is Return
		if got := strings.Join(log, " "); got != "a2=2 b2=2 d1=2 waits=2" {
			t.Errorf("given back: %s; want what nobody has begun, and nothing else", got)
		}
		deliver("late", "a", yield)
		if got := log[len(log)-1]; got != "late=2" {
			t.Errorf("a delivery that comes too late: %s; want it given back at once", got)
		}
		close(ended)
		synctest.Wait()
		if got := log[len(log)-2:]; !slices.Contains(got, "runs=1") || !slices.Contains(got, "c1=1") {
			t.Errorf("at the end: %v; want what ran, and the other partition's, settled as done", got)
		}
		if s := c.Status(); s.InFlight != 0 {
			t.Errorf("InFlight = %d; want 0", s.InFlight)
		}
	})
}

// The simulation found it with seed 15814: what failed in a moment of doubt was given back, and the next of its key, which
// came in that moment, was begun before it.
func TestWhatFailsWhileItsPartitionIsInDoubtWaitsHere(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := &onePartition{Broker: fabric.Process("p").Broker(), deliveries: make(chan *transport.Delivery)}
		var certain, failed atomic.Bool
		certain.Store(true)
		var mu sync.Mutex
		var log []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, what)
		}
		start(t, b, rec, delivery.Subscription{Channel: keyed, Concurrency: 2, Handle: func(_ context.Context, e *transport.Envelope) error {
			note(e.ID)
			if !failed.Swap(true) {
				certain.Store(false)
				return errOut
			}
			return nil
		}})
		yield := make(chan struct{})
		for _, id := range []string{"first", "second"} {
			b.deliveries <- &transport.Delivery{
				Envelope: withKey(to(keyed, id), "a"), Yield: yield, Valid: certain.Load,
				Settle: func(o transport.Outcome) { note(fmt.Sprint(id, "=", o)) },
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		certain.Store(true)
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(log, " "); got != "first first first=1 second second=1" {
			t.Errorf("got %s; want the first again once the partition is certain, nothing given back, and then the second", got)
		}
	})
}
