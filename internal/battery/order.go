package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// competitors are the processes that share the partitions.
const competitors = 4

// keepOrder has processes that handle leave, join, be killed and be frozen under load, always one that has most of the
// partitions, and measures how long these take to be handled elsewhere.
func keepOrder(ctx context.Context, s *stage, _ *proxy) error {
	all, err := s.begin(ctx, offer{perSecond: 500, publishers: 1, handlers: competitors,
		takes: 10 * time.Millisecond}) // so that faults come in the middle of something
	if err != nil {
		return err
	}
	o := &order{stage: s, handlers: all[:competitors], longest: make(map[string]time.Duration)}
	rounds := s.count(10, 2)
	for i := range rounds {
		if err := o.leave(ctx); err != nil {
			return err
		}
		if err := o.fault(ctx, i%2 == 0); err != nil {
			return err
		}
		s.sayf("round %d of %d; longest until taken over: %v", i+1, rounds, o.longest)
	}
	for _, what := range slices.Sorted(maps.Keys(o.longest)) {
		s.figuref("longest take-over after a "+what, "%v", o.longest[what].Round(time.Millisecond))
	}
	return s.finish(ctx, true)
}

// order is the state of keepOrder.
type order struct {
	*stage
	handlers []*process
	joined   int
	longest  map[string]time.Duration
}

// leave has a process leave in order and another one join.
func (o *order) leave(ctx context.Context) error {
	i, lanes, err := o.busiest(ctx)
	if err != nil {
		return err
	}
	since := time.Now()
	if err := o.crew.leave(ctx, o.handlers[i]); err != nil {
		return err
	}
	limit := time.Second
	if o.network == "kafka" {
		limit = 4 * time.Second // the other members learn of it by their next heartbeat, and give up before they get
	}
	if err := o.takenOver(ctx, "leave", o.handlers[i], lanes, since, limit); err != nil {
		return err
	}
	return o.join(ctx, i)
}

// fault kills a process, and another one joins; or it freezes it until others have what it had, and longer.
func (o *order) fault(ctx context.Context, kill bool) error {
	i, lanes, err := o.busiest(ctx)
	if err != nil {
		return err
	}
	p, since, limit := o.handlers[i], time.Now(), 10*time.Second
	if kill {
		o.crew.kill(p)
		if err := o.takenOver(ctx, "kill", p, lanes, since, limit); err != nil {
			return err
		}
		return o.join(ctx, i)
	}
	if err := o.crew.freeze(p); err != nil {
		return err
	}
	if o.network == "rabbitmq" {
		limit = 15 * time.Second // three heartbeats that are missing
	}
	taken := o.takenOver(ctx, "freeze", p, lanes, since, limit)
	sleep(ctx, time.Second+time.Duration(o.random.Int64N(int64(5*time.Second))))
	if err := o.crew.thaw(p); err != nil {
		return err
	}
	return taken
}

// join starts a process in the place of one that is gone.
func (o *order) join(ctx context.Context, i int) error {
	o.joined++
	t := o.handlers[i].task
	t.Name = fmt.Sprintf("joined%d", o.joined)
	p, err := o.crew.start(ctx, t)
	if err != nil {
		return err
	}
	o.handlers[i] = p
	return o.crew.ready(ctx, p)
}

// busiest is the process that has begun the newest message of most lanes, and these lanes. One that has been frozen or
// has joined just now has none; so a moment is given to share the partitions again.
func (o *order) busiest(ctx context.Context) (index int, lanes map[string]bool, err error) {
	sleep(ctx, 3*time.Second)
	err = o.book.until(ctx, func() bool {
		owned := make(map[*process]map[string]bool)
		for _, l := range o.book.lanes {
			if len(l.starts) == 0 {
				continue
			}
			by := l.starts[len(l.starts)-1].by
			if owned[by] == nil {
				owned[by] = make(map[string]bool)
			}
			owned[by][l.name] = true
		}
		for i, p := range o.handlers {
			if len(owned[p]) > len(lanes) {
				index, lanes = i, owned[p]
			}
		}
		return len(lanes) > 0
	})
	return index, lanes, err
}

// takenOver waits until others have begun a message of each of the lanes.
func (o *order) takenOver(ctx context.Context, what string, p *process, lanes map[string]bool, since time.Time, limit time.Duration) error {
	patient, cancel := context.WithTimeout(ctx, resumePatience)
	defer cancel()
	var last int64
	err := o.book.until(patient, func() bool {
		last = 0
		for name := range lanes {
			first := int64(0)
			for _, x := range slices.Backward(o.book.lanes[name].starts) { // as they were heard, nearly in order
				if x.at < since.Add(-resumeLimit).UnixNano() {
					break
				}
				if x.by != p && x.at >= since.UnixNano() && (first == 0 || x.at < first) {
					first = x.at
				}
			}
			if first == 0 {
				return false
			}
			last = max(last, first)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%d lanes of %s are not handled elsewhere %v after its %s: %w", len(lanes), p.name, resumePatience, what, err)
	}
	took := time.Unix(0, last).Sub(since)
	o.longest[what] = max(o.longest[what], took)
	if took > limit {
		o.problemf("the lanes of %s were taken over %v after its %s; want %v", p.name, took.Round(time.Millisecond), what, limit)
	}
	return nil
}
