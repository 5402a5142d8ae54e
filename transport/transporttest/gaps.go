package transporttest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// skips says whether a message is one of those that nobody ends while others behind it are: each fifth of its source.
func skips(id string) bool {
	_, n := cut(id)
	return n%5 == 0
}

func nothingIsSkipped(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	var all sync.WaitGroup
	for _, partitions := range []int{0, 4} {
		all.Go(func() { s.killedInGaps(ctx, site, b, s.channel(ctx, b, transport.Queue, partitions)) })
	}
	for _, p := range []transport.Pattern{transport.Topic, transport.Stream} {
		if p == transport.Topic || b.Features().Streams {
			all.Go(func() { s.closedInGaps(ctx, site, b, s.channel(ctx, b, p, 4)) })
		}
	}
	all.Wait()
}

// killedInGaps kills consumers that have settled what lies behind an unsettled message, and wants the latter elsewhere.
func (s *Scene) killedInGaps(ctx context.Context, site Site, b transport.Broker, c transport.Channel) {
	log, rounds, each := newAccount(), s.Count(2, 20), 50
	for round := range rounds {
		source := fmt.Sprintf("m%d", round)
		sent := messages(c, source, 7, each)
		p := site.process(ctx, s, func(words []string) {
			if words[0] == "end" {
				log.took("", &transport.Envelope{ID: words[1]})
			}
		}, "gaps", c.Address, strconv.Itoa(c.Partitions))
		log.mustSend(ctx, s, b, sent...)
		log.until(ctx, func() bool { return len(log.lost("")) <= (round+1)*each/5 })
		time.Sleep(settling) // until the broker knows
		if round%2 == 0 {
			p.kill()
		} else {
			p.leave()
			<-p.ended
		}
	}
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{Duplicates: true, Unordered: true})
}

// closedInGaps closes a connection that has settled what lies behind an unsettled message, and wants that in another one
// of the group.
func (s *Scene) closedInGaps(ctx context.Context, site Site, b transport.Broker, c transport.Channel) {
	log, first := newAccount(), site.Connect(ctx, s)
	const group, each = "g", 50
	s.declare(ctx, first, c)
	route := transport.Route{Channel: c, Group: group}
	s.receive(ctx, first, route, func(d *transport.Delivery) {
		if !skips(d.Envelope.ID) {
			log.take(group)(d)
		}
	})
	log.mustSend(ctx, s, b, messages(c, "m", 7, each)...)
	log.until(ctx, func() bool { return len(log.lost(group)) <= each/5 })
	time.Sleep(settling)
	s.close(ctx, first, 500*time.Millisecond)
	s.receive(ctx, b, route, log.take(group))
	log.settled(ctx, group)
	log.empty(ctx, s, b, c, group)
	log.verify(s, group, faults{Duplicates: true, Unordered: true})
}
