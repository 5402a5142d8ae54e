package transporttest

import (
	"context"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	returning    = 3 * time.Second
	mostReturns  = 100 // a second, of one message: a pause of 10 ms between two tries, and no driver is so hasty
	firstReturns = 50  // that may be quicker: a pause may begin small and grow
)

func returnsDoNotSpin(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	limit := firstReturns + mostReturns*int(returning/time.Second)
	var mu sync.Mutex
	var began time.Time // when the message first came
	returned := 0
	log.mustSend(ctx, s, b, message(c, "again", "k", 0))
	s.receive(ctx, b, transport.Route{Channel: c, Credit: transport.NewCredit(1)}, func(d *transport.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) > returning || returned > limit {
			log.take("")(d)
			return
		}
		returned++
		d.Settle(transport.Return)
	})
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{})
	mu.Lock()
	defer mu.Unlock()
	if returned > limit {
		s.Errorf("got one message delivered again and again %d times in less than %v; want pauses between: at most %d a second", returned, returning, mostReturns)
	}
	s.Notef("one message returned %d times", returned)
}

func returnsKeepOrder(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 2)
	sent := messages(c, "ordered", 6, 60)
	returns := make(map[string]int, len(sent)) // that are left
	for i, e := range sent {
		returns[e.ID] = i * 7 % 10 % 4
	}
	var mu sync.Mutex
	log.mustSend(ctx, s, b, sent...)
	s.receive(ctx, b, transport.Route{Channel: c, Credit: transport.NewCredit(32)}, func(d *transport.Delivery) {
		mu.Lock()
		left := returns[d.Envelope.ID]
		returns[d.Envelope.ID]--
		mu.Unlock()
		if left > 0 {
			d.Settle(transport.Return)
			return
		}
		log.take("")(d)
	})
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{})
}
