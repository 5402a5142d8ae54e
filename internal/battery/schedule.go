package main

import (
	"context"
	"fmt"
	"time"
)

// sendLater schedules messages over a minute and kills the broker in the middle of it.
func sendLater(ctx context.Context, s *stage, _ *proxy) error {
	const publishers, lanes = 2, 50
	each, spread, before := s.count(100, 10), s.span(time.Minute, 20*time.Second), s.span(20*time.Second, 8*time.Second)
	var tasks []task
	for i := range 2 {
		tasks = append(tasks, task{Verb: "handle", Name: fmt.Sprintf("handler%d", i), Concurrency: 64, Free: true})
	}
	if _, err := s.start(ctx, tasks...); err != nil {
		return err
	}
	due := time.Now().Add(before)
	tasks = tasks[:0]
	for i := range publishers {
		tasks = append(tasks, task{Verb: "publish", Name: fmt.Sprintf("publisher%d", i), Lanes: lanes, Most: each, Free: true, Due: due, Spread: lapse(spread)})
	}
	if _, err := s.start(ctx, tasks...); err != nil {
		return err
	}
	sleep(ctx, time.Until(due.Add(spread/2)))
	s.sayf("the broker is killed in the middle of it")
	took, err := s.outage(ctx, 0)
	if err != nil {
		return err
	}
	s.figuref("scheduled", "%d over %v", publishers*lanes*each, spread)
	s.figuref("until messages flow again", "%v", short(took))
	sleep(ctx, time.Until(due.Add(spread)))
	if err := s.finish(ctx, false); err != nil {
		return err
	}
	if late := quantile(s.book.judge(false).lateness, .99); late > lateLimit {
		s.problemf("lateness outside the outage: p99 %v; want at most %v", short(late), lateLimit)
	}
	return nil
}
