package mem

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/parley-io/parley/transport"
)

// A ring is written for months: neither a group that nobody serves nor a reader that has left may hold what it drops.
func TestARingHoldsNoMoreThanItsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := New(WithDedupe(0))
		broker := f.Process("p").Broker()
		ring := transport.Channel{Address: "ring", Pattern: transport.Stream, RetainBytes: 1000}
		if err := broker.Declare(t.Context(), []transport.Channel{ring}); err != nil {
			t.Fatal(err)
		}
		for _, group := range []string{"left", ""} {
			ctx, cancel := context.WithCancel(t.Context())
			route := transport.Route{Channel: ring, Group: group, Ready: cancel}
			if err := broker.Receive(ctx, route, func(*transport.Delivery) {}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10_000 {
			e := &transport.Envelope{ID: strconv.Itoa(i), Address: "ring", Body: make([]byte, 100)}
			if r := broker.Send(t.Context(), []*transport.Envelope{e})[0]; r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		c := f.channels["ring"]
		if len(c.groups) != 1 {
			t.Fatalf("%d groups and readers, want the one group", len(c.groups))
		}
		if kept, held := c.log.len(), c.groups[0].lanes[0].waiting.len(); kept != 10 || held != 10 {
			t.Errorf("the stream keeps %d messages and the group holds %d, want 10 and 10", kept, held)
		}
		if n := cap(c.log.items); n > 1000 {
			t.Errorf("the log has room for %d messages, want its memory bounded", n)
		}
	})
}
