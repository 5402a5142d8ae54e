package deliverytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// sick are the messages that a handler fails.
type sick struct {
	mu  sync.Mutex
	ids []string
}

func (s *sick) handle(_ context.Context, e *transport.Envelope) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.ids, e.ID) {
		return errDeclined
	}
	return nil
}

func (s *sick) set(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = ids
}

func stoppedKey(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	for _, pattern := range []transport.Pattern{transport.Queue, transport.Topic} {
		c := g.channel(pattern, 3)
		var doctor sick
		doctor.set("a-1")
		subscription := delivery.Subscription{Channel: c, StopKey: true, Retries: delivery.Retries{Set: true}, Handle: doctor.handle}
		if pattern == transport.Topic {
			subscription.Group = "ward"
		}
		g.stopAndGoOn(ctx, &doctor, subscription)
	}
}

// stopAndGoOn stops the key a, hands it over, redrives, and wants all of both keys in order.
func (g *stage) stopAndGoOn(ctx context.Context, doctor *sick, subscription delivery.Subscription) {
	c, receiver := subscription.Channel, subscription.Channel.Address
	if subscription.Group != "" {
		receiver = subscription.Group
	}
	first := g.consume(ctx, subscription)
	var all []*transport.Envelope
	send := func(n int) {
		for _, key := range []string{"a", "b"} {
			all = append(all, message(c, fmt.Sprintf("%s-%d", key, n), key))
		}
		g.send(ctx, all[len(all)-2:]...)
		g.tried(ctx, receiver, fmt.Sprintf("b-%d", n), 1)
	}
	buried := func(n, times int) *delivery.DeadLetter {
		return g.buried(ctx, receiver, fmt.Sprintf("a-%d", n), times)
	}
	redrive := func(d *delivery.DeadLetter) {
		if err := delivery.Redrive(ctx, g.broker, ledger.Discard, d, "conform"); err != nil {
			g.Fatalf("Redrive: %v", err)
		}
	}
	send(0)
	g.tried(ctx, receiver, "a-0", 1)
	send(1)
	buried(1, 1)
	send(2)
	if d := buried(2, 1); d.Behind != "a-1" || d.Attempts != 0 {
		g.Errorf("dead letter of a-2: got it behind %q after %d attempts; want it behind a-1 after none", d.Behind, d.Attempts)
	}
	first.stop(ctx)
	second := g.consumeOn(ctx, g.site.Connect(ctx, g.Scene), subscription)
	send(3)
	if d := buried(3, 1); d.Behind != "a-1" {
		g.Errorf("dead letter of a-3, at another instance: got it behind %q; want it behind a-1", d.Behind)
	}
	redrive(buried(2, 1)) // before its turn
	buried(2, 2)
	doctor.set()
	redrive(buried(1, 1))
	g.tried(ctx, receiver, "a-1", 2)
	send(4) // while two are not back
	buried(4, 1)
	for _, n := range []int{2, 3, 4} {
		redrive(buried(n, len(g.deadOf(receiver, fmt.Sprintf("a-%d", n)))))
		g.tried(ctx, receiver, fmt.Sprintf("a-%d", n), 1)
	}
	send(5)
	g.tried(ctx, receiver, "a-5", 1)
	second.stop(ctx)
	for key, want := range map[string][]string{"a": {"a-0", "a-1", "a-1", "a-2", "a-3", "a-4", "a-5"}, "b": {"b-0", "b-1", "b-2", "b-3", "b-4", "b-5"}} {
		if got := g.orderOf(receiver, key+"-"); !slices.Equal(got, want) {
			g.Errorf("key %s at %s was handled in the order %v; want %v", key, receiver, got, want)
		}
	}
}

func dependencyDown(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Queue, 0)
	var mu sync.Mutex
	isDown, done := true, make(map[string]bool)
	retries := delivery.Retries{Set: true, Immediate: 1, Delays: []time.Duration{5 * time.Second, 5 * time.Second}}
	consumer := g.consume(ctx, delivery.Subscription{Channel: c, Concurrency: 8, Retries: retries, Handle: func(_ context.Context, e *transport.Envelope) error {
		mu.Lock()
		defer mu.Unlock()
		if isDown {
			return delivery.DependencyDown(errors.New("the card network is gone"))
		}
		done[e.ID] = true
		return nil
	}})
	var sent []*transport.Envelope
	for i := range 60 {
		sent = append(sent, message(c, fmt.Sprintf("m-%d", i), ""))
	}
	g.send(ctx, sent...)
	g.until(ctx, "the pause", func() bool { return consumer.Status().Paused })
	began := len(g.triesOf(c.Address, ""))
	time.Sleep(2 * time.Second)
	if s := consumer.Status(); s.Dead > 0 || len(g.triesOf(c.Address, ""))-began > 16 {
		g.Errorf("paused: got %+v and %d attempts since; want no dead letter, and no attempts but what ran", s, len(g.triesOf(c.Address, ""))-began)
	}
	mu.Lock()
	isDown = false
	mu.Unlock()
	g.until(ctx, "the handling of all", func() bool { return consumer.Status().Handled >= int64(len(sent)) })
	consumer.stop(ctx)
	if s := consumer.Status(); s.Dead > 0 || s.Handled != int64(len(sent)) || len(done) != len(sent) {
		g.Errorf("at the end: got %+v, of %d messages; want all %d handled once, no dead letter", s, len(done), len(sent))
	}
}
