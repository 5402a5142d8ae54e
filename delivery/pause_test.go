package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestPauseStartsNoHandlerUntilResume(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		var all calls
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Concurrency: 1, Handle: func(_ context.Context, e *transport.Envelope) error {
			all.add(e)
			time.Sleep(time.Second)
			return nil
		}})
		for i := range 100 {
			send(t, b, to(queue, fmt.Sprint("m", i)))
		}
		time.Sleep(2500 * time.Millisecond)
		c.Pause("the card network is down")
		c.Pause("the card network is still down")
		time.Sleep(time.Hour)
		s := c.Status()
		if all.count() != 3 || s.Handled != 3 || !s.Paused || s.Because != "the card network is still down" {
			t.Errorf("paused after 2.5 s: %d begun, %+v; want 3 begun and handled, and the latest reason", all.count(), s)
		}
		c.Resume()
		c.Resume()
		time.Sleep(98 * time.Second)
		if s := c.Status(); s.Handled != 100 || s.Paused || s.Because != "" {
			t.Errorf("resumed: %+v; want all 100 handled", s)
		}
		c.Pause("again")
		send(t, b, to(queue, "later"))
		synctest.Wait()
		if n := c.Status().InFlight; n != 0 {
			t.Errorf("%d fetched while paused; want none", n)
		}
		if err := c.stop(); err != nil || all.count() != 100 {
			t.Errorf("stopped while paused: %v, %d handled; want nil, 100", err, all.count())
		}
	})
}

func TestInFlightIsBoundedAndASlowSubscriptionDoesNotStallAnother(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		slow := start(t, b, rec, delivery.Subscription{Channel: topic, Group: "slow", Concurrency: 1, Handle: func(context.Context, *transport.Envelope) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}})
		fast := start(t, b, rec, delivery.Subscription{Channel: topic, Group: "fast", Concurrency: 100, Handle: func(context.Context, *transport.Envelope) error { return nil }})
		for i := range 5000 {
			send(t, b, to(topic, fmt.Sprint("m", i)))
			if i%100 == 0 {
				time.Sleep(20 * time.Millisecond)
				if n := slow.Status().InFlight; n > 64 {
					t.Fatalf("the slow one has %d in flight; want at most 64", n)
				}
			}
		}
		synctest.Wait()
		if s := slow.Status(); fast.Status().Handled != 5000 || s.Handled > 20 || s.InFlight != 64 {
			t.Errorf("fast handled %d, slow %d with %d in flight; want 5000, about 10, 64", fast.Status().Handled, s.Handled, s.InFlight)
		}
	})
}
