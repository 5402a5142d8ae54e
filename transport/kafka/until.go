package kafka

import (
	"context"
	"time"

	"github.com/parley-io/parley/transport"
)

const lookEvery = 100 * time.Millisecond

// bind finds the offsets that Until means. A time that has not come yet is none: reached finds them when it has.
func (r *receiver) bind(ctx context.Context) error {
	u := r.route.Until
	if u.IsZero() || r.bounds != nil || u.At == "" && !u.Start && time.Now().Before(u.Time) {
		return nil
	}
	bounds, err := r.b.offsets(ctx, r.route.Channel, u, true)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bounds = bounds
	for _, l := range r.lanes {
		l.until = r.bound(l.partition)
	}
	return nil
}

// bound is the first offset of a partition that is not wanted, -1 = none is known.
func (r *receiver) bound(partition int32) int64 {
	if r.bounds == nil {
		return -1
	}
	return r.bounds[partition]
}

// reached reports whether everything before Until is settled: by this receiver, and in a group by the others too. What
// cannot be asked is asked again.
func (r *receiver) reached(ctx context.Context) bool {
	ctx, stop := r.b.until(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if r.bind(ctx) != nil || r.bounds == nil {
		return false
	}
	settled := make(map[int32]int64)
	r.mu.Lock()
	for _, l := range r.lanes {
		settled[l.partition] = l.mark
	}
	r.mu.Unlock()
	if !r.reader() && !passed(settled, r.bounds) {
		placed, err := r.b.places(ctx, r.group, r.topic)
		if err != nil {
			return false
		}
		for p, o := range placed {
			settled[p] = max(settled[p], o)
		}
	}
	if passed(settled, r.bounds) {
		return true
	}
	starts, err := r.b.offsets(ctx, r.route.Channel, transport.Position{Start: true}, false)
	if err != nil {
		return false
	}
	for p, o := range starts { // what is not kept any longer needs no settling
		settled[p] = max(settled[p], o)
	}
	return passed(settled, r.bounds)
}

func passed(settled, bounds map[int32]int64) bool {
	for p, bound := range bounds {
		if settled[p] < bound {
			return false
		}
	}
	return true
}
