package collector

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

const (
	longestWait = time.Minute
	// A gap of another process can open or close without news of the story; and a search through all hops, which a
	// key or a trace needs, is not repeated more often.
	lookAgain  = time.Second
	searchRest = 200 * time.Millisecond
	// answerEarly is how long before the caller's deadline a waiting answer is given.
	answerEarly = 200 * time.Millisecond
)

// RecordsMissing is the name of the error of a Follow that found nothing, where that may be because the ledger has gaps.
const RecordsMissing = "parley.records-missing"

// FollowRequest asks for a trail.
type FollowRequest struct {
	ID   string `json:"id"`            // an id, a correlation, a W3C trace or a key, exactly
	Wait string `json:"wait,omitzero"` // a duration, at most a minute; "" = answer at once
	// Since is the Revision of a trail that the asker has: the answer waits for another one. 0 = it waits until what
	// is asked for is over (see [ledger.Trail.Concluded]).
	Since uint64 `json:"since,omitzero"`
}

// Follow answers with the trail as it is when its wait is over, or when that has ended for the reason that the
// request names.
func (c *Collector) Follow(ctx context.Context, r FollowRequest) (ledger.Trail, error) {
	if r.ID == "" {
		return ledger.Trail{}, invalid("id", "want the id of a message or call, a correlation, a trace or a key")
	}
	until, err := c.until(ctx, r.Wait)
	if err != nil {
		return ledger.Trail{}, err
	}
	w := newWatch()
	c.mu.Lock()
	c.watches.add(w, r.ID)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.watches.remove(w)
	}()
	for {
		trail, ok := c.look(w, r.ID)
		if ok && r.over(&trail) || !c.await(ctx, w, trail.Found, until) {
			if !ok {
				return trail, c.unknown(r.ID)
			}
			return trail, nil
		}
	}
}

// over reports whether t is what the request waits for.
func (r *FollowRequest) over(t *ledger.Trail) bool {
	if r.Since != 0 {
		return t.Revision != r.Since
	}
	return t.Concluded()
}

// look assembles the trail, and makes w hear of its stories.
func (c *Collector) look(w *watch, query string) (ledger.Trail, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	trail, ok := c.index.Trail(query)
	for i := range trail.Hops {
		c.watches.add(w, trail.Hops[i].Correlation)
	}
	return trail, ok
}

// await waits for news, and reports false when the wait is over.
func (c *Collector) await(ctx context.Context, w *watch, found string, until time.Time) bool {
	rest := until.Sub(c.now())
	if rest <= 0 {
		return false
	}
	news := w.news
	pause := lookAgain
	if found == ledger.FoundKey || found == ledger.FoundTrace {
		news, pause = nil, searchRest
	}
	timer := time.NewTimer(min(rest, pause))
	defer timer.Stop()
	select {
	case <-news:
		return true
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.ended:
	}
	return false
}

// until is when a wait ends: in time for the caller's deadline.
func (c *Collector) until(ctx context.Context, wait string) (time.Time, error) {
	now := c.now()
	if wait == "" {
		return now, nil
	}
	d, err := time.ParseDuration(wait)
	if err != nil || d < 0 || d > longestWait {
		return now, invalid("wait", fmt.Sprintf("got %q, want a duration of at most %v, such as 20s", wait, longestWait))
	}
	until := now.Add(d)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-answerEarly).Before(until) {
		until = deadline.Add(-answerEarly)
	}
	return until, nil
}

// unknown says that nothing is recorded, and whether that may be because records are missing.
func (c *Collector) unknown(query string) error {
	c.mu.Lock()
	t := c.index.Totals()
	c.mu.Unlock()
	kept := ledger.Stream()
	e := &transport.Error{Code: transport.NotFound, Message: fmt.Sprintf(
		"nothing is recorded of %q: ids, correlations, traces and keys are exact; the ledger keeps %v or %d MiB, and this collector has %d messages and calls of it (%d older stories are forgotten)",
		query, kept.Retain, kept.RetainBytes>>20, t.Hops, t.Forgotten)}
	if t.Dropped+t.Missing > 0 {
		e.Name = RecordsMissing
		e.Message += fmt.Sprintf("; records are missing, which it may have been among: %d were dropped while the ledger could not be written, and %d batches never came", t.Dropped, t.Missing)
	}
	return e
}

func invalid(field, message string) error {
	return &transport.Error{Code: transport.InvalidArgument, Message: "the request is wrong", Fields: []transport.Field{{Path: field, Message: message}}}
}
