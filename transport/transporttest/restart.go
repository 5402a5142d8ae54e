package transporttest

import (
	"context"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

func topologyMissing(ctx context.Context, s *Scene, site Site) {
	if site.Wipe == nil {
		s.NotRunf("the target cannot wipe its broker: no Wipe")
	}
	b := site.Connect(ctx, s)
	before, probes, after := newAccount(), newAccount(), newAccount()
	queue, topic := s.channel(ctx, b, transport.Queue, 0), s.channel(ctx, b, transport.Topic, 4)
	routes := []transport.Route{{Channel: queue}, {Channel: topic, Group: "g"}}
	var receivers []*receiver
	take := func(d *transport.Delivery) {
		log := after
		switch source, _ := cut(d.Envelope.ID); source {
		case "before":
			log = before
		case "probe":
			log = probes
		}
		log.took("", d.Envelope)
		d.Settle(transport.Done)
	}
	for _, r := range routes {
		receivers = append(receivers, s.receive(ctx, b, r, take))
	}
	before.mustSend(ctx, s, b, message(queue, "before", "k", 0), message(topic, "before", "k", 1))
	before.settled(ctx, "")

	if err := site.Wipe(ctx); err != nil {
		s.Fatalf("wiping the broker: %v", err)
	}
	back := time.Now()
	early, cancel := context.WithTimeout(ctx, overdue)
	err := declareUntil(early, b, queue, topic) // before anybody else makes what they share
	cancel()
	s.served(ctx, site)
	soon, cancel := context.WithTimeout(ctx, overdue)
	defer cancel()
	if err != nil {
		s.declareAgain(soon, b, queue, topic)
	}
	for i, r := range routes {
		s.receivesAgain(soon, b, r, receivers[i], take, probes, after, i)
	}
	s.Notef("everything in use again %v after the return of a broker that had lost all", time.Since(back).Round(time.Millisecond))
	after.verify(s, "", faults{Duplicates: true, Unordered: true})
}

// declareAgain declares until it is done, as a client does that was told that the broker is away or a channel missing.
func (s *Scene) declareAgain(ctx context.Context, b transport.Broker, c ...transport.Channel) {
	if err := declareUntil(ctx, b, c...); err != nil {
		s.Fatalf("declaring again and again after a broker's return = %v; want it made in time", err)
	}
}

// declareUntil is declareAgain that answers what the last try said when ctx was done.
func declareUntil(ctx context.Context, b transport.Broker, c ...transport.Channel) error {
	for {
		err := b.Declare(ctx, c)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// receivesAgain wants a Receive whose channel was lost and made again to go on, or to have ended with an error. A group of
// a topic may be registered later than the topic, and what is sent before does not wait for it: so it is probed, each
// time by another message, as a broker may not take the same one twice.
func (s *Scene) receivesAgain(ctx context.Context, b transport.Broker, r transport.Route, was *receiver, take func(*transport.Delivery), probes, log *account, n int) {
	arrived := false
	for attempt := 0; ctx.Err() == nil && !arrived && !closed(was.ended); attempt++ {
		probe := message(r.Channel, "probe", "k", n+2*attempt)
		probes.insist(ctx, s, b, probe)
		soon, cancel := context.WithTimeout(ctx, settling)
		probes.until(soon, func() bool { arrived = probes.handledBy("", probe.ID); return arrived || closed(was.ended) })
		cancel()
	}
	switch {
	case closed(was.ended):
		if was.err == nil {
			s.Errorf("Receive of %s, which the broker has lost = nil; want an error, or that it goes on", r.Channel.Address)
		}
		s.Notef("%v: Receive ended with an error and was begun again", r.Channel.Pattern)
		s.receive(ctx, b, r, take)
	case !arrived:
		s.Errorf("a Receive of %v %s goes on and gets nothing although its channel was made again; want messages, or an error",
			r.Channel.Pattern, r.Channel.Address)
		return
	}
	e := message(r.Channel, "after", "k", n)
	log.insist(ctx, s, b, e)
	log.until(ctx, func() bool { return log.handledBy("", e.ID) })
}

// overdue is how late a delayed message may be after an outage, on a machine that has much else to do.
const overdue = time.Minute

func delaySurvivesRestart(ctx context.Context, s *Scene, site Site) {
	if site.Down == nil && site.Kill == nil {
		s.NotRunf("the target cannot end its broker: neither Down nor Kill")
	}
	sender, b := site.Connect(ctx, s), site.Connect(ctx, s)
	if sender.Features().Delay == 0 {
		s.Fatalf("Features.Delay = 0: this broker carries no NotBefore; want a declaration that says so")
	}
	log, early := newAccount(), newAccount()
	c, warm := s.channel(ctx, sender, transport.Queue, 0), s.channel(ctx, sender, transport.Queue, 0)
	s.declare(ctx, b, c, warm)
	first := message(warm, "first", "k", 0)
	first.NotBefore = time.Now().Add(settling) // what carries delays may start with the first one
	early.mustSend(ctx, s, sender, first)
	early.drain(ctx, s, b, warm)

	total, spread := s.Count(200, 2000), time.Duration(s.Count(5, 60))*time.Second
	due, began := make(map[string]time.Time), time.Now()
	var batch []*transport.Envelope
	for n := range total {
		e := message(c, "later", "k", n)
		e.NotBefore = began.Add(time.Second + spread*time.Duration(n)/time.Duration(total))
		due[e.ID] = e.NotBefore
		batch = append(batch, e)
	}
	log.mustSend(ctx, s, sender, batch...)
	if err := sender.Close(ctx); err != nil { // who has sent is not needed any more
		s.Errorf("Close = %v; want nil", err)
	}
	var mu sync.Mutex
	came := make(map[string]time.Time)
	s.receive(ctx, b, transport.Route{Channel: c}, func(d *transport.Delivery) {
		mu.Lock()
		if came[d.Envelope.ID].IsZero() {
			came[d.Envelope.ID] = time.Now()
		}
		mu.Unlock()
		log.take("")(d)
	})
	log.until(ctx, func() bool { return log.count("") > 0 })
	up := s.down(ctx, site)
	down := time.Now()
	if err := up(ctx); err != nil {
		s.Fatalf("starting the broker again: %v", err)
	}
	back := time.Now()
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{Duplicates: true, Unordered: true})
	mu.Lock()
	defer mu.Unlock()
	latest := time.Duration(0)
	for id, at := range came {
		late := at.Sub(due[id])
		if late < 0 {
			s.Errorf("message %s came %v before its time; want it not before", id, -late)
		}
		if at.After(down) && due[id].Before(back) {
			late = at.Sub(back)
		}
		latest = max(latest, late)
	}
	if latest > overdue {
		s.Errorf("the latest delayed message came %v after its time and the broker's return; want at most %v", latest, overdue)
	}
	s.Notef("%d delayed messages, broker away for %v in the middle; the latest came %v after its time and the broker's return",
		total, back.Sub(down).Round(time.Millisecond), latest.Round(time.Millisecond))
}
