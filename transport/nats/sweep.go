package nats

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// sweep removes from a Queue, now and then, what one receiver has acknowledged. The server keeps that: to remove each
// message as it is acknowledged costs a synced write each, while of acknowledgements it writes the sum, ten times a
// second.
//
// A round removes all up to the acknowledgement floor of the receiver's consumer, of the subjects that came here: no
// other consumer gets those. Where the floor stays, because something takes long, what was acknowledged beyond it is
// removed singly in the round after.
type sweep struct {
	b        *Broker
	stream   string
	consumer string
	subject  string     // of what comes from Brokers
	whole    bool       // the stream has no partitions: the server drops whole files then, and looks into one
	refused  chan error // capacity 1: that we may not remove anything

	mu      sync.Mutex
	created time.Time // when the stream was; zero = it removes what is acknowledged by itself
	litter  litter
}

// litter is what was acknowledged and may be stored.
type litter struct {
	newest map[string]uint64 // sequence by subject; see come
	beyond []uint64          // sequences beyond the floor, as far as is known
	old    int               // how many of beyond, from the first, were there in the last round
	floor  uint64            // at the last round
}

const (
	// A round comes sweepMany messages after the last one, or sweepLate if there were fewer: whatever is removed, the
	// server counts anew what waits for each consumer of the stream.
	sweepMany  = 1000
	sweepLate  = 3 * time.Second
	sweepEvery = 500 * time.Millisecond // how often it is looked whether one is due
	// maxSingly is how many messages a round removes singly, in less than a millisecond each on a disk that is not slow.
	maxSingly = 1000
	// maxBeyond is how many are remembered for that. What exceeds it stays until the floor has passed it.
	maxBeyond = 1 << 16
)

// errReplaced says that the sequences may be those of other messages: there is another stream, or may be one since the
// connection is another.
var errReplaced = errors.New("the stream may be another one")

// newSweep is for the receiver of a partition, 0 where there are none. It is nil for a channel from which nothing is to be
// removed, and a nil sweep removes nothing.
func newSweep(b *Broker, c transport.Channel, consumer string, partition int) *sweep {
	if c.Pattern != transport.Queue {
		return nil
	}
	return &sweep{
		b: b, stream: b.names.stream(c.Address), consumer: consumer, subject: b.names.place(c, partition),
		whole: c.Partitions == 0, refused: make(chan error, 1),
	}
}

// come notes that so much of a subject was acknowledged.
func (l *litter) come(subject string, seq uint64) {
	if l.newest == nil {
		l.newest = make(map[string]uint64)
	}
	l.newest[subject] = max(l.newest[subject], seq)
}

// begin learns which stream the receiver has opened. What was acknowledged in another one is gone with it.
func (s *sweep) begin(info *jetstream.StreamInfo) {
	if s == nil {
		return
	}
	var created time.Time
	if info.Config.Retention == jetstream.LimitsPolicy {
		created = info.Created
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.created.Equal(created) {
		s.created, s.litter = created, litter{}
	}
}

// found learns the floor that the consumer has as it is opened. Up to there, receivers may have left something that were
// killed, and perhaps nothing more comes that would be acknowledged.
func (s *sweep) found(floor uint64) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.created.IsZero() && floor > 0 {
		s.litter.come(s.subject, floor)
	}
}

// note takes an entry that is about to be acknowledged.
func (s *sweep) note(e *entry) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.created.Equal(e.created) {
		return
	}
	l, seq := &s.litter, e.sequence()
	l.come(e.msg.Subject, seq)
	if len(l.beyond) < maxBeyond {
		l.beyond = append(l.beyond, seq)
	}
}

// refusal tells why nothing can be removed; nil for no sweep.
func (s *sweep) refusal() <-chan error {
	if s == nil {
		return nil
	}
	return s.refused
}

// start sweeps until stop is called, which waits.
func (s *sweep) start() (stop func()) {
	if s == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// end is the last round. Of a partition it removes all that was acknowledged, as far as maxSingly goes: what is stored
// beyond the floor, the next owner gets once more.
func (s *sweep) end(partition bool) {
	if s != nil {
		_ = s.round(context.Background(), partition) // else whoever receives next does that, or gets it once more
	}
}

// run sweeps until ctx is done.
func (s *sweep) run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	begun := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.fresh() < sweepMany && time.Since(begun) < sweepLate {
			continue
		}
		begun = time.Now()
		if s.round(ctx, false) == nil || ctx.Err() != nil {
			continue
		}
		if denied := s.b.denied(s.stream); denied != nil {
			select {
			case s.refused <- denied:
			default:
			}
		}
	}
}

// fresh is how much was acknowledged since the last round.
func (s *sweep) fresh() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.litter.beyond) - s.litter.old
}

// round removes what it can, also what was acknowledged beyond the floor since the last one if all is set. What it cannot
// remove, the next one does.
func (s *sweep) round(ctx context.Context, all bool) error {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	l, created := s.take()
	if len(l.newest) == 0 {
		return nil
	}
	if all {
		l.old = len(l.beyond)
	}
	err := s.remove(ctx, created, &l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.created.Equal(created) {
		return err
	}
	for subject, seq := range l.newest {
		s.litter.come(subject, seq)
	}
	s.litter.beyond, s.litter.old, s.litter.floor = append(l.beyond, s.litter.beyond...), len(l.beyond), l.floor
	return err
}

// take is what was acknowledged until now, which the caller puts back as far as it stays, and in which stream.
func (s *sweep) take() (litter, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.litter
	s.litter = litter{floor: l.floor}
	return l, s.created
}

// remove leaves in l what it has not removed.
func (s *sweep) remove(ctx context.Context, created time.Time, l *litter) error {
	epoch := s.b.epoch.Load()
	stream, err := s.b.js.Stream(ctx, s.stream)
	if err != nil {
		return err
	}
	if !stream.CachedInfo().Created.Equal(created) {
		return errReplaced
	}
	c, err := stream.Consumer(ctx, s.consumer)
	if err != nil {
		return err
	}
	floor := c.CachedInfo().AckFloor.Stream
	for subject, seq := range l.newest {
		if seq > floor && floor == l.floor { // all up to there is removed
			continue
		}
		if s.b.epoch.Load() != epoch {
			return errReplaced
		}
		// A purge of nothing would delay what waits to be delivered again, too; and up to 0, where a floor begins and may go
		// back to, the first servers of 2.14 purge everything.
		if stream.CachedInfo().State.FirstSeq <= floor {
			up := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSequence(floor + 1)}
			if !s.whole {
				up = append(up, jetstream.WithPurgeSubject(subject))
			}
			if err := stream.Purge(ctx, up...); err != nil {
				return err
			}
		}
		if seq <= floor {
			delete(l.newest, subject)
		}
	}
	l.floor = floor
	rest, singly := l.beyond[:0], 0
	for n, seq := range l.beyond {
		switch {
		case seq <= floor:
			continue
		case n < l.old && singly < maxSingly && err == nil && s.b.epoch.Load() == epoch:
			singly++
			if err = stream.DeleteMsg(ctx, seq); err == nil || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // gone already
				err = nil
				continue
			}
		}
		rest = append(rest, seq)
	}
	l.beyond = rest
	return err
}
