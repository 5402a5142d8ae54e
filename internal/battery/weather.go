package main

import (
	"context"
	"fmt"
	"time"
)

// flapping is a network that is silent every other second.
const flapping = "flapping"

// weathers are the ways in which the network fails, one after the other.
func weathers() []weather {
	slowly := way{delay: 200 * time.Millisecond, rate: 256 << 10}
	return []weather{
		{name: "silent", up: way{silent: true}, down: way{silent: true}},
		{name: "reset", reset: true},
		{name: "silent to the broker", up: way{silent: true}},
		{name: "silent from the broker", down: way{silent: true}},
		{name: "slow", up: slowly, down: slowly},
		{name: flapping},
	}
}

// breakNetwork has the network fail in one way after the other under load.
func breakNetwork(ctx context.Context, s *stage, p *proxy) error {
	if _, err := s.begin(ctx, offer{perSecond: 1000, publishers: 2, handlers: 4}); err != nil {
		return err
	}
	lasts := s.span(40*time.Second, 8*time.Second)
	for _, w := range weathers() {
		from := time.Now()
		if w.name == flapping {
			s.flap(ctx, p, lasts)
		} else {
			p.set(w)
			sleep(ctx, lasts)
		}
		p.set(weather{})
		took, err := s.flows(ctx, time.Now())
		s.book.note(fault{what: w.name, from: from, until: time.Now()})
		if err != nil {
			return fmt.Errorf("after %s: %w", w.name, err)
		}
		s.figuref("flows again after "+w.name, "%v", short(took))
		s.sayf("%s for %v; messages flow again after %v", w.name, lasts, short(took))
		if took > resumeLimit {
			s.problemf("after %s messages flowed again after %v; want at most %v", w.name, short(took), resumeLimit)
		}
		sleep(ctx, 2*time.Second)
	}
	return s.finish(ctx, true)
}

func (s *stage) flap(ctx context.Context, p *proxy, lasts time.Duration) {
	silent := weather{up: way{silent: true}, down: way{silent: true}}
	for began := time.Now(); time.Since(began) < lasts && ctx.Err() == nil; {
		p.set(silent)
		sleep(ctx, time.Second)
		p.set(weather{})
		sleep(ctx, time.Second)
	}
}
