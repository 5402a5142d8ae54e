package nats

import (
	"context"
	"time"
)

// beyond reports whether an entry is at or after the position at which the receiver ends.
func (r *receiver) beyond(e *entry) bool {
	n, _ := sequence(r.until) // checked by checkRoute
	switch {
	case n > 0:
		return e.sequence() >= n
	case !r.until.Time.IsZero():
		return !e.meta.Timestamp.Before(r.until.Time)
	}
	return r.until.Start
}

// reach ends the receiver when nothing is left before until, also if no message is there that says so.
func (r *receiver) reach(ctx context.Context) {
	if r.until.IsZero() || !r.look || len(r.hand) > 0 {
		return
	}
	r.look = false
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	s, err := r.b.js.Stream(ctx, r.stream)
	if err != nil {
		return // the next tick looks again
	}
	n, _ := sequence(r.until)
	past := r.until.Start || n > 0 && s.CachedInfo().State.LastSeq >= n-1 ||
		n == 0 && !r.until.Time.IsZero() && !time.Now().Before(r.until.Time)
	if !past {
		return
	}
	c, err := s.Consumer(ctx, r.consumer)
	if err != nil {
		return
	}
	i := c.CachedInfo()
	if i.NumPending == 0 && i.NumAckPending == 0 && i.Delivered.Stream <= r.last {
		r.ended = true
		r.kick()
	}
}
