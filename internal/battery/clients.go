package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// disturbClients kills and freezes publishers and handlers at random under load. What was killed is replaced at once.
func disturbClients(ctx context.Context, s *stage, _ *proxy) error {
	running, err := s.begin(ctx, offer{perSecond: 1000, publishers: 3, handlers: 4})
	if err != nil {
		return err
	}
	each := s.count(100, 5)
	kills := slices.Concat(slices.Repeat([]bool{true}, each), slices.Repeat([]bool{false}, each)) // the others are frozen
	s.random.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	frozen := make(map[*process]time.Time) // and when each is thawed
	for n, kill := range kills {
		if !sleep(ctx, time.Duration(s.random.Int64N(int64(1500*time.Millisecond)))) {
			return ctx.Err()
		}
		if err := s.thaw(frozen, time.Now()); err != nil {
			return err
		}
		i := s.random.IntN(len(running))
		for !frozen[running[i]].IsZero() {
			i = (i + 1) % len(running)
		}
		p := running[i]
		s.sayf("%d of %d: %s is to be killed (else frozen): %v", n+1, len(kills), p.name, kill)
		if kill {
			s.crew.kill(p)
			again := p.task
			again.Name = fmt.Sprintf("%s%d-%d", p.Verb, i, n+1)
			running[i], err = s.crew.start(ctx, again)
		} else {
			frozen[p] = time.Now().Add(time.Second + time.Duration(s.random.Int64N(int64(11*time.Second))))
			err = s.crew.freeze(p)
		}
		if err != nil {
			return err
		}
		for len(frozen) > len(running)/2 && sleep(ctx, 100*time.Millisecond) { // somebody has to work
			if err := s.thaw(frozen, time.Now()); err != nil {
				return err
			}
		}
	}
	if err := s.thaw(frozen, time.Now().Add(time.Hour)); err != nil {
		return err
	}
	s.figuref("kills", "%d", each)
	s.figuref("freezes", "%d", each)
	took, err := s.flows(ctx, time.Now())
	if err != nil {
		return err
	}
	s.figuref("until messages flow after the last", "%v", short(took))
	return s.finish(ctx, true)
}

// thaw thaws those whose time has come.
func (s *stage) thaw(frozen map[*process]time.Time, now time.Time) error {
	for p, at := range frozen {
		if at.After(now) {
			continue
		}
		delete(frozen, p)
		if err := s.crew.thaw(p); err != nil {
			return err
		}
	}
	return nil
}
