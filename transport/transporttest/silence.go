package transporttest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

// silence is longer than any driver needs to give to others what a receiver has that went silent: 14 s were measured on
// RabbitMQ, with two heartbeats of 5 s; NATS waits 10 s, Kafka 6 s.
const silence = 16 * time.Second

func longHandler(ctx context.Context, s *Scene, site Site) {
	b, other := site.Connect(ctx, s), site.Connect(ctx, s)
	queue, lanes, topic := s.channel(ctx, b, transport.Queue, 0), s.channel(ctx, b, transport.Queue, 4), s.channel(ctx, b, transport.Topic, 0)
	s.declare(ctx, other, queue, lanes, topic)
	hold := silence * time.Duration(s.Count(1, 3))
	var all sync.WaitGroup
	for _, x := range []struct {
		route   transport.Route
		brokers []transport.Broker // several share the work where a second one may take over
	}{
		{transport.Route{Channel: queue}, []transport.Broker{b, other}},
		{transport.Route{Channel: lanes}, []transport.Broker{b}},
		{transport.Route{Channel: topic, Group: "g"}, []transport.Broker{b, other}},
	} {
		all.Go(func() { s.longHandler(ctx, x.route, x.brokers, hold) })
	}
	all.Wait()
	s.Notef("handlers ran for %v", hold)
}

// longHandler holds some messages while others are handled beside them, once each of several has its part of the work:
// who joins gets it a moment later, from another who may have begun with what comes then.
func (s *Scene) longHandler(ctx context.Context, route transport.Route, brokers []transport.Broker, hold time.Duration) {
	const long = 6
	log, group := newAccount(), route.Group
	held := newHands(log, group)
	parts := make([]atomic.Int64, len(brokers)) // how much each has had
	idle := func() bool {
		for i := range parts {
			if parts[i].Load() == 0 {
				return true
			}
		}
		return false
	}
	route.Credit = transport.NewCredit(long + 2) // less than comes at once, so that it is more than one takes
	for i, b := range brokers {
		s.receive(ctx, b, route, func(d *transport.Delivery) {
			if source, _ := cut(d.Envelope.ID); source == "long" {
				held.take(d)
				return
			}
			s.Go(func() {
				time.Sleep(time.Millisecond) // a handler's work
				parts[i].Add(1)
				log.take(group)(d)
			})
		})
	}
	c, b := route.Channel, brokers[0]
	for n := 0; idle() && ctx.Err() == nil; n++ {
		log.mustSend(ctx, s, b, messages(c, fmt.Sprintf("early-%d", n), 8, 2*(long+2))...)
		time.Sleep(20 * time.Millisecond)
	}
	began := time.Now()
	log.mustSend(ctx, s, b, messages(c, "long", 3, long)...)
	for n := 0; time.Since(began) < hold && ctx.Err() == nil; n++ {
		log.mustSend(ctx, s, b, message(c, "short", fmt.Sprintf("k%d", n%8), n))
		time.Sleep(100 * time.Millisecond)
	}
	if got := held.count(); got != long {
		s.Errorf("%v: got %d deliveries for %d handlers that run for %v; want no other one, as they were all alive", c.Pattern, got, long, hold)
	}
	held.kept(s, fmt.Sprintf("%v: handlers that run for %v", c.Pattern, hold))
	held.release()
	log.settled(ctx, group)
	log.empty(ctx, s, b, c, group)
	log.verify(s, group, faults{Unordered: true}) // those that were short have overtaken them
}

// thawed is by when others must have got what a frozen consumer held.
const thawed = 30 * time.Second

func frozenConsumer(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	log.mustSend(ctx, s, b, messages(c, "before", 1, 60)...)
	const begins = 20
	var mu sync.Mutex
	begun, enough := make(map[string]bool), make(chan struct{})
	p := site.process(ctx, s, func(words []string) {
		switch words[0] {
		case "begin":
			mu.Lock()
			defer mu.Unlock()
			if begun[words[1]] = true; len(begun) == begins {
				close(enough)
			}
		case "end":
			log.took("", &transport.Envelope{ID: words[1]})
		}
	}, "receive", c.Address, "0")
	select {
	case <-enough:
	case <-p.ended:
		s.Fatalf("the consumer ended by itself; want it to handle until it is frozen")
	case <-ctx.Done():
		s.Fatalf("the consumer began too few messages in time; want %d", begins)
	}
	if err := p.freeze(); err != nil {
		s.Fatalf("freezing a consumer: %v", err)
	}
	frozen := time.Now()
	s.receive(ctx, b, transport.Route{Channel: c}, log.take(""))
	soon, cancel := context.WithDeadline(ctx, frozen.Add(thawed))
	defer cancel()
	log.settled(soon, "")
	if lost := log.lost(""); len(lost) > 0 {
		s.Errorf("got %d messages of a frozen consumer (%s) that nobody else has got; want all elsewhere within %v", len(lost), clip(lost), thawed)
	}
	s.Notef("everything handled elsewhere %v after a consumer was frozen", time.Since(frozen).Round(10*time.Millisecond))

	if err := p.thaw(); err != nil {
		s.Fatalf("thawing a consumer: %v", err)
	}
	log.mustSend(ctx, s, b, messages(c, "after", 1, 200)...)
	log.settled(ctx, "")
	p.leave()
	select {
	case <-p.ended:
	case <-ctx.Done():
		s.Fatalf("the thawed consumer still runs after it was told to end")
	}
	if p.err != nil && !p.exiled {
		s.Errorf("the thawed consumer ended with %v; want an orderly end", p.err)
	}
	log.mustSend(ctx, s, b, messages(c, "last", 1, 40)...)
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{Duplicates: true, Unordered: true})
	mu.Lock()
	defer mu.Unlock()
	for id, n := range log.handlings() {
		if source, _ := cut(id); n > 1 && (source != "before" || !begun[id]) {
			s.Errorf("message %s was handled %d times; want that only of what the frozen consumer had", id, n)
		}
	}
}
