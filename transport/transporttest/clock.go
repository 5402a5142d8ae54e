package transporttest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// skew is how wrong the clock of a sender is.
const skew = time.Hour

// clocksThatDiffer sends what a process would send whose clock is wrong. Nobody's clock is set for that: of a sender's
// clock nothing crosses the seam but the times in its envelopes.
func clocksThatDiffer(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	first := message(c, "first", "k", 0)
	log.mustSend(ctx, s, b, first)
	began := time.Now()
	for i, wrong := range []time.Duration{-skew, skew} {
		e := message(c, fmt.Sprintf("skewed-%d", i), "k", 0)
		e.Time, e.Lifetime = began.Add(wrong), time.Minute
		log.mustSend(ctx, s, b, e)
		again := *e
		again.Time = again.Time.Add(time.Minute) // of the same message, made again from an outbox
		if b.Features().Dedupe > 0 {
			log.mustSend(ctx, s, b, &again)
		}
		if b.Features().Delay > 0 {
			late := *e
			late.ID, late.NotBefore = "delayed-"+e.ID, began.Add(2*time.Second)
			log.mustSend(ctx, s, b, &late)
		}
	}
	var mu sync.Mutex
	accepted := make(map[string]time.Time)
	s.receive(ctx, b, transport.Route{Channel: c}, func(d *transport.Delivery) {
		mu.Lock()
		accepted[d.Envelope.ID] = d.Accepted
		mu.Unlock()
		if nb := d.Envelope.NotBefore; !nb.IsZero() && time.Now().Before(nb) {
			s.Errorf("message %s of a sender whose clock is wrong came %v before its NotBefore; want it not before", d.Envelope.ID, time.Until(nb))
		}
		log.take("")(d)
	})
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{Unordered: true})
	mu.Lock()
	defer mu.Unlock()
	for id, at := range accepted {
		if off := at.Sub(began).Abs(); !at.IsZero() && off > skew/2 {
			s.Errorf("message %s: got Accepted %v, %v from now; want the broker's clock and not the sender's, which is wrong by %v", id, at, off, skew)
		}
	}
}
