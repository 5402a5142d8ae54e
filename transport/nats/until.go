package nats

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
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

// passed reports whether a stream has come to a position.
func passed(until transport.Position, s jetstream.Stream) bool {
	n, _ := sequence(until)
	return until.Start || n > 0 && s.CachedInfo().State.LastSeq >= n-1 ||
		n == 0 && !until.Time.IsZero() && !time.Now().Before(until.Time)
}

// reached reports whether the group has settled everything before the share's until, in all partitions.
func (s *share) reached(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	stream, err := s.b.js.Stream(ctx, s.stream)
	if err != nil || !passed(s.route.Until, stream) {
		return false // looked at again soon
	}
	n, _ := sequence(s.route.Until)
	for p := range s.channel.Partitions {
		c, err := stream.Consumer(ctx, partitionConsumer(s.channel, s.route.Group, p))
		if err != nil {
			return false
		}
		for _, filter := range s.b.names.partitionFilters(s.channel, s.route.Group, p) {
			m, err := stream.GetMsg(ctx, c.CachedInfo().AckFloor.Stream+1, jetstream.WithGetMsgSubject(filter))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil || n > 0 && m.Sequence < n || n == 0 && m.Time.Before(s.route.Until.Time) {
				return false
			}
		}
	}
	return true
}

// reach ends the receiver when nothing is left before until, also if no message is there that says so.
func (r *receiver) reach(ctx context.Context) {
	if r.until.IsZero() || r.own != nil || !r.look || len(r.hand) > 0 {
		return
	}
	r.look = false
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	s, err := r.b.js.Stream(ctx, r.stream)
	if err != nil {
		return // the next tick looks again
	}
	if !passed(r.until, s) {
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
