package collector

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	alongFor   = 2 * time.Minute        // how long a job waits for the outcome of what it sent to keys that are stopped
	alongPause = 250 * time.Millisecond // between looks
	// alongRest is how long after the last outcome the dead letters are looked through: they and the ledger are read apart.
	alongRest = time.Second
)

// stopName is a key that can be stopped at a receiver.
type stopName struct{ address, receiver, key string }

func (l *letter) stop() stopName { return stopName{l.cause.address, l.receiver, l.key} }

func inStream(a, b *letter) int { return cmp.Compare(a.order, b.order) }

// stoppedBy are the keys that letters stop.
func stoppedBy(letters []*letter) map[stopName]bool {
	names := make(map[stopName]bool)
	for _, l := range letters {
		if l.stopsKey {
			names[l.stop()] = true
		}
	}
	return names
}

// ofKeys are the letters that stop these keys and that no job has, in the order of the stream.
func (f *failed) ofKeys(names map[stopName]bool) (all []*letter) {
	if len(names) == 0 {
		return nil
	}
	for _, l := range f.letters {
		if l.stopsKey && !taken(l) && names[l.stop()] {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, inStream)
	return all
}

// takeAlong waits until it is known what became of the letters that a job has just sent to stopped keys, adds to the job
// what stands behind them now, and answers that. A key whose oldest letter has failed again, or of which nothing was
// handled, is left as it is.
func (c *Collector) takeAlong(ctx context.Context, j *job, sent []*letter) []*letter {
	sent = slices.DeleteFunc(slices.Clone(sent), func(l *letter) bool { return !l.stopsKey })
	if len(sent) == 0 {
		return nil
	}
	late := false
	for until := c.now().Add(alongFor); !late && !c.known(j, sent); late = c.now().After(until) {
		if !rest(ctx, alongPause) {
			return nil
		}
	}
	if !rest(ctx, alongRest) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if late {
		j.errors = append(j.errors, fmt.Sprintf("what became of some messages that stop their keys was not known in %v: what came behind them meanwhile may still be among the dead letters; redrive it too", alongFor))
		return nil
	}
	names := make(map[stopName]bool)
	for _, l := range sent {
		if j.sent[l] && c.handled(l) {
			names[l.stop()] = true
		}
	}
	for _, l := range sent {
		if again := c.again(l); again != nil && !again.behind {
			delete(names, l.stop())
		}
	}
	more := c.failed.ofKeys(names)
	for _, l := range more {
		l.pending = true
	}
	j.scope = append(j.scope, more...)
	return more
}

// known reports whether each letter that a job has sent has its outcome.
func (c *Collector) known(j *job, sent []*letter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range sent {
		if j.sent[l] && c.again(l) == nil && !c.handled(l) {
			return false
		}
	}
	return true
}

// again is the dead letter that a redriven one became; nil = none.
func (c *Collector) again(l *letter) *letter {
	for _, o := range c.failed.byID[l.id] {
		if o.receiver == l.receiver && o.order > l.order {
			return o
		}
	}
	return nil
}

// rest is a pause; false when ctx is done first.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
