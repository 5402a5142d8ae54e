package main

import (
	"context"
	"time"
)

// leaveAway has the broker away for longer than clients wait by themselves.
func leaveAway(ctx context.Context, s *stage, _ *proxy) error {
	if _, err := s.begin(ctx, offer{perSecond: 500, publishers: 2, handlers: 2}); err != nil {
		return err
	}
	sleep(ctx, 3*time.Second)
	away := s.span(3*time.Minute, 20*time.Second)
	took, err := s.outage(ctx, away)
	if err != nil {
		return err
	}
	s.figuref("away", "%v", away)
	s.figuref("until messages flow again", "%v", short(took))
	sleep(ctx, 3*time.Second)
	return s.finish(ctx, true)
}
