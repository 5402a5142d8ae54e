package main

import (
	"context"
	"fmt"
	"time"
)

// killBroker kills the broker again and again under load.
func killBroker(ctx context.Context, s *stage, _ *proxy) error {
	const pause = 2500 * time.Millisecond
	if _, err := s.begin(ctx, offer{perSecond: 2000, publishers: 4, handlers: 4}); err != nil {
		return err
	}
	sleep(ctx, pause)
	var longest time.Duration
	kills := s.count(100, 5)
	for i := range kills {
		took, err := s.outage(ctx, 0)
		if err != nil {
			return fmt.Errorf("kill %d of %d: %w", i+1, kills, err)
		}
		longest = max(longest, took)
		s.sayf("kill %d of %d: messages flow %v after the broker's return", i+1, kills, short(took))
		sleep(ctx, pause-took) // a life of so long, however slowly it starts
	}
	s.figuref("kills", "%d", kills)
	s.figuref("longest until messages flow again", "%v", short(longest))
	return s.finish(ctx, true)
}

// outage kills the broker, starts it again after a while, and waits until messages flow again; it answers how long that
// took.
func (s *stage) outage(ctx context.Context, away time.Duration) (time.Duration, error) {
	killed := time.Now()
	if err := s.site.kill(ctx); err != nil {
		return 0, err
	}
	sleep(ctx, away)
	if err := s.site.restart(ctx); err != nil {
		return 0, err
	}
	back := time.Now()
	took, err := s.flows(ctx, back)
	s.book.note(fault{what: "kill of the broker", from: killed, until: time.Now()})
	if err != nil {
		return 0, err
	}
	if took > resumeLimit {
		s.problemf("messages flowed %v after the return of the broker; want at most %v", short(took), resumeLimit)
	}
	return took, nil
}
