package nats

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport/nats/embedded"
)

// A receiver that is told to stop just after the connection came back, and before it has subscribed again, must not wait
// for the last word of a subscription that is closed: nothing would ever end it.
func TestAReceiverThatLostItsSubscriptionHasNothingToDrain(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	b, err := Open(t.Context(), Options{InProcess: s, Token: s.Token(), Survives: s.Survives()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, closed := range []bool{false, true} {
		sub, err := b.nc.Subscribe("somewhere", func(*nats.Msg) {})
		if err != nil {
			t.Fatal(err)
		}
		if closed {
			if err := sub.Unsubscribe(); err != nil {
				t.Fatal(err)
			}
		}
		r := &receiver{b: b, sub: sub}
		r.drain()
		if r.dry != closed {
			t.Errorf("dry = %v after the drain of a subscription that is closed = %v; want it to wait only for one that can still say something", r.dry, closed)
		}
		if !closed {
			<-r.drained
		}
	}
}
