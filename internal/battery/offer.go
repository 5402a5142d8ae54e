package main

import (
	"context"
	"fmt"
	"time"
)

// offer is what publishers offer, all of them together, and who handles it.
type offer struct {
	perSecond, publishers, handlers int
	takes                           time.Duration // of each handling
}

// tasks are those of its workers, the ones that handle first.
func (o offer) tasks() (tasks []task) {
	const lanes = 64 // of a publisher: so many wait for a confirmation at the same time, at the most
	for i := range o.handlers {
		tasks = append(tasks, task{Verb: "handle", Name: fmt.Sprintf("handler%d", i), Concurrency: 32, Takes: lapse(o.takes)})
	}
	for i := range o.publishers {
		tasks = append(tasks, task{Verb: "publish", Name: fmt.Sprintf("publisher%d", i), Lanes: lanes,
			Every: lapse(time.Second) * lapse(lanes*o.publishers) / lapse(o.perSecond)})
	}
	return tasks
}

// Pace of a run before its first fault.
const (
	// paceLimit is for half of what is offered to be confirmed: a start takes its time on a busy machine.
	paceLimit = time.Minute
	paceLook  = time.Second
)

// begin starts the workers of an offer, and waits until messages flow, and at least half of what is offered is confirmed:
// nothing is shown by a few that survive.
func (s *stage) begin(ctx context.Context, of offer) ([]*process, error) {
	if s.rate > 0 {
		of.perSecond = s.rate
	}
	started, err := s.start(ctx, of.tasks()...)
	if err != nil {
		return nil, err
	}
	if _, err := s.flows(ctx, time.Now()); err != nil {
		return nil, err
	}
	stored := func() (n int) {
		s.book.with(func() { n = s.book.stored })
		return n
	}
	best, began := 0, time.Now()
	for before := stored(); best < of.perSecond/2 && time.Since(began) < paceLimit; {
		from := time.Now()
		if !sleep(ctx, paceLook) {
			return nil, ctx.Err()
		}
		now := stored()
		best = max(best, int(float64(now-before)/time.Since(from).Seconds()))
		before = now
	}
	s.figuref("confirmed per second before any fault", "%d of %d", best, of.perSecond)
	if best < of.perSecond/2 {
		s.problemf("%d messages a second were confirmed before any fault; want at least half of the %d that are offered", best, of.perSecond)
	}
	return started, nil
}
