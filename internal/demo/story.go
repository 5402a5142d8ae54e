package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/examples/shop/shop"
	"github.com/parley-io/parley/examples/shop/storefront"
)

// The moments of a story of [FullDuration], since its beginning; those of others are drawn together or apart. Where the
// first order and loan come after breakAt, all of them are as much later.
const (
	breakAt    = 10 * time.Second // the card processor begins to fail
	healAt     = 30 * time.Second // it works again, unless nothing has come of it yet
	healLatest = 42 * time.Second
	joinAt     = 35 * time.Second // the late joiner
	lastOrder  = 52 * time.Second // customers stop ordering
)

const (
	// startLimit is for the processes to be there, also on a busy machine, or once a broker that is away has come back.
	startLimit = 5 * time.Minute
	// drainLimit is for what was ordered to be done, and for what somebody who was killed had taken to come back.
	drainLimit = 60 * time.Second
	// glance is between two looks at the network.
	glance = 200 * time.Millisecond
	// front is the service that customers come to.
	front = "storefront"
	// lateJoiner is the service that joins when the others have a history.
	lateJoiner = "analytics"
	// cause is what the card processor says while it fails.
	cause = "card processor 503"
)

// tell tells the story until telling ends, and reports what life has time for.
func (s *show) tell(telling, life context.Context) (report Report, err error) {
	first, err := s.firstOrder(life)
	if err != nil {
		return report, err
	}
	if !over(telling) {
		if err := s.firstLoan(life); err != nil {
			return report, err
		}
	}
	if err := s.beside(telling, life); err != nil {
		return report, err
	}
	report, err = s.count(life)
	report.FirstMessageMS = first.Milliseconds()
	report.cut, report.queued = !s.told, s.queued
	return report, err
}

// beside plays the acts, and whatever is to happen beside them, and returns when both have ended.
func (s *show) beside(telling, life context.Context) error {
	disturbing, calm := context.WithCancel(telling)
	defer calm()
	var disturbed sync.WaitGroup
	defer disturbed.Wait()
	if s.Beside != nil {
		disturbed.Go(func() { s.Beside(disturbing, s.cast, s.view.net) })
	}
	err := s.acts(telling, life)
	if err != nil {
		calm()
	}
	return err
}

// acts are what happens between the first loan and the last order.
func (s *show) acts(telling, life context.Context) error {
	s.late = max(0, time.Since(s.began)-s.drawn(breakAt))
	s.until(telling, breakAt, nil)
	if !over(telling) {
		if err := s.retry(life, func() error {
			return s.view.faults(life, fmt.Sprintf("fail answer cards.v1.* with unavailable %q", cause))
		}); err != nil {
			return err
		}
		s.sayf("parley fault list", "the card processor fails on purpose (%q)", cause)
	}
	s.until(telling, awayAt, nil)
	if err := s.absence(telling); err != nil {
		return err
	}
	s.until(telling, healAt, nil)
	s.until(telling, healLatest, func() bool { return s.noted.Opened > 0 && s.dead })
	if err := s.retry(life, func() error { return s.view.faults(life) }); err != nil {
		return err
	}
	if over(telling) {
		return nil
	}
	s.sayf("parley breakers", "the card processor works again")
	s.until(telling, lastOrder, func() bool { return s.open == 0 })
	s.redrive(telling)
	s.until(telling, joinAt, nil)
	if over(telling) {
		return nil
	}
	if err := s.join(telling); err != nil {
		return err
	}
	if over(telling) {
		return nil
	}
	s.told = true
	if s.Duration == 0 {
		s.sayf("parley tail storefront.v1.sold", "that was the story; shop and bank go on, and Ctrl-C ends them")
		<-telling.Done()
	}
	s.until(telling, lastOrder, nil)
	return nil
}

// firstOrder starts the processes of the shop, customers last, and waits for the first message that somebody handles. It says how
// long all that took.
func (s *show) firstOrder(ctx context.Context) (took time.Duration, err error) {
	if err := s.broker(ctx); err != nil {
		return 0, err
	}
	var backend []string
	for _, name := range shop.Services() {
		if name != front && name != lateJoiner {
			backend = append(backend, name)
		}
	}
	for _, name := range backend {
		if err := s.shop(name, 0); err != nil {
			return 0, err
		}
	}
	if err := s.wait(ctx, startLimit, "the services of the shop", func() bool { return s.view.there(backend...) }); err != nil {
		return 0, err
	}
	if err := s.shop(front, s.Orders); err != nil {
		return 0, err
	}
	if err := s.wait(ctx, startLimit, "the first message", func() bool {
		o, err := s.outside()
		return err == nil && len(o.Handled) > 0 && len(o.Confirmed) > 0
	}); err != nil {
		return 0, err
	}
	took = time.Since(s.began)
	x, err := s.first(ctx, storefront.PlaceOrder.Address(), "the first order")
	if err != nil {
		return 0, err
	}
	s.sayf("parley follow "+string(x.ID), "first order, an operation: a chain of calls, 2 commands, 2 events")
	return took, nil
}

// join starts the late joiner and waits until it has replayed the history, or customers stop ordering.
func (s *show) join(telling context.Context) error {
	before, err := s.outside()
	if err != nil {
		return err
	}
	if err := s.shop(lateJoiner, 0); err != nil {
		return err
	}
	s.joined, before.Joined = true, true
	history := before.Lost() // by the late joiner only, or to be found out later
	s.sayf("parley groups list", "%s joins late and replays the history from its start", lateJoiner)
	replayed := func() bool {
		now, err := s.outside()
		return err == nil && !slices.ContainsFunc(history, func(h outside.Receipt) bool { return h.Group == lateJoiner && now.Handled[h] == 0 })
	}
	s.until(telling, lastOrder, replayed)
	if replayed() {
		s.sayf("", "%s has handled every order from before it joined", lateJoiner)
	}
	return nil
}

// redrive redrives everything that is among the dead letters, cause by cause.
func (s *show) redrive(ctx context.Context) {
	failed, err := s.view.failed(ctx)
	if err != nil {
		return // the next one will do it
	}
	for _, c := range failed.Causes {
		s.sayf(fmt.Sprintf("parley failed redrive %d", c.Number), "redriving %d dead letters of %s", c.Open, c.Address)
		job, err := s.view.redrive(ctx, c)
		if err != nil {
			s.sayf("", "the redrive was cut off (%s)", parley.CodeOf(err))
			continue
		}
		s.sayf("parley follow "+job.IDs[0], "%d of %d redriven messages handled", job.Handled, job.Scope)
	}
}

// until looks at the network until the story has come to at and, if there is one, condition holds earlier: with a
// condition, at is the latest.
func (s *show) until(ctx context.Context, at time.Duration, condition func() bool) {
	for ctx.Err() == nil {
		s.look(ctx)
		if s.due(at) || condition != nil && condition() {
			return
		}
		rest(ctx, glance)
	}
}

// due reports whether the story has come to a moment.
func (s *show) due(at time.Duration) bool { return time.Since(s.began) >= s.drawn(at)+s.late }

// drawn is a moment of this story.
func (s *show) drawn(at time.Duration) time.Duration {
	if s.Duration == 0 {
		return at
	}
	return time.Duration(float64(at) * float64(s.Duration) / float64(FullDuration))
}

// look tells what has changed on the network since the last look.
func (s *show) look(ctx context.Context) {
	open := s.view.breakers(ctx, "billing", "cards", s.breakers)
	var now Breaker
	for _, b := range s.breakers {
		now.Opened, now.Closed = now.Opened+b.Opened, now.Closed+b.Closed
	}
	switch {
	case open > 0 && s.open == 0:
		s.sayf("parley breakers", "breaker billing→cards OPEN: calls fail at once")
	case open == 0 && s.open > 0:
		s.sayf("parley breakers", "breaker billing→cards closed")
	}
	s.noted, s.open = now, open
	s.lookBack()
	if s.dead {
		return
	}
	if failed, err := s.view.failed(ctx); err == nil && failed.Open > 0 {
		s.dead = true
		s.sayf("parley failed list", "first dead letter: %s has given up for now", failed.Causes[0].Group)
	}
}

// count ends the orders and applications, waits until all of them are done, and counts.
func (s *show) count(ctx context.Context) (report Report, err error) {
	s.sayf("parley operations list", "customers stop ordering, applicants too; what is begun is done first")
	if err := errors.Join(s.cast.end(applicants), s.endOrders(ctx)); err != nil {
		return report, err
	}
	o, err := s.drain(ctx)
	if err != nil {
		return report, err
	}
	report = count(o)
	report.Breaker = s.noted
	commands := make([]outside.Message, 0, report.Commands.Sent)
	for _, c := range o.Confirmed {
		if c.Style == parley.StyleCommand {
			commands = append(commands, c)
		}
	}
	err = s.retry(ctx, func() (err error) {
		report.Commands.DeadLettered, report.Commands.Redriven, err = s.view.deadLetters(ctx, commands)
		return err
	})
	if err != nil {
		return report, err
	}
	s.sum(report, o)
	if s.After != nil {
		err = s.After(ctx, s.cast, s.view.net, o)
	}
	return report, err
}

// endOrders lets no more customers come. Who takes their orders goes on, to end those that are under way.
func (s *show) endOrders(ctx context.Context) error {
	before := s.view.instances(front)
	if err := s.cast.end(front); err != nil {
		return err
	}
	if err := s.shop(front, 0); err != nil {
		return err
	}
	return s.wait(ctx, startLimit, "the "+front+" without customers", func() bool {
		return slices.ContainsFunc(s.view.instances(front), func(id string) bool { return !slices.Contains(before, id) })
	})
}

// drain waits until everything that was confirmed is handled, every operation has ended and no dead letter is left, or
// drainLimit has passed.
func (s *show) drain(ctx context.Context) (*Outside, error) {
	for began := time.Now(); ; rest(ctx, glance) {
		o, err := s.outside()
		if err != nil {
			return nil, err
		}
		s.look(ctx)
		failed, err := s.view.failed(ctx)
		if err == nil && failed.Open > 0 {
			s.redrive(ctx)
			continue
		}
		if err == nil && len(o.Lost()) == 0 && len(o.Unfinished()) == 0 || time.Since(began) > drainLimit || ctx.Err() != nil {
			return o, context.Cause(ctx)
		}
	}
}

// sum tells what was counted.
func (s *show) sum(r Report, o *Outside) {
	s.sayf("", "calls: %d ok, %d failed", r.Calls.OK, r.Calls.Failed)
	s.sayf("", "operations: %d started, %d done, %d failed, %d of those for a reason of the business",
		r.Operations.Started, r.Operations.Done, r.Operations.Failed, r.Operations.FailedForBusiness)
	s.sayf("", "commands: %d sent, %d handled; %d had been dead letters, %d of them redriven", r.Commands.Sent, r.Commands.Handled, r.Commands.DeadLettered, r.Commands.Redriven)
	s.sayf("", "events: %d published, %d of %d receipts handled", r.Events.Published, r.Events.Handled, r.Events.Expected)
	if twice := o.Twice(); twice > 0 {
		s.sayf("", "handled a second time, as at-least-once delivery allows: %d", twice)
	}
	s.sayf("", "lost: %d, by the services' own logs", r.Lost)
	if bytes, err := memory(s.cast.pids()); err == nil {
		s.sayf("", "memory: %d MiB summed over %d processes (PSS)", bytes>>20, len(s.cast.pids()))
	}
}

// wait waits for something of the beginning, which comes within limit.
func (s *show) wait(ctx context.Context, limit time.Duration, what string, there func() bool) error {
	for began := time.Now(); !there(); rest(ctx, 20*time.Millisecond) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(began) > limit {
			return fmt.Errorf("waited %v for %s; their logs are in %s", limit, what, s.cast.logs)
		}
	}
	return nil
}

// retry tries something on the network until it works: somebody may have been killed at the moment.
func (s *show) retry(ctx context.Context, try func() error) error {
	for began := time.Now(); ; rest(ctx, glance) {
		err := try()
		if err == nil || time.Since(began) > startLimit || ctx.Err() != nil {
			return err
		}
	}
}

// over reports whether the story has been told to end.
func over(telling context.Context) bool { return telling.Err() != nil }

// rest is a sleep that ends with ctx.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
