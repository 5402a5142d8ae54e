package rabbitmq

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// connect makes everything that is missing at the server, for the first time or after it was lost. An error means that
// going on is useless.
func (r *receiver) connect(now time.Time) error {
	s, _, _ := r.b.inward.now()
	if r.session != nil && (s != r.session || !s.alive()) {
		r.lose()
	}
	if s == nil || !s.alive() || now.Before(r.retry) {
		return nil
	}
	if r.session == nil {
		if err := r.lay(s); err != nil {
			return r.failed(err, now)
		}
		r.session = s
	}
	if err := r.attachAll(s, now); err != nil {
		return r.failed(err, now)
	}
	r.pause = 0
	r.join(s, now)
	return nil
}

// attachAll attaches the lanes that lack it, all at once, as each takes some round trips.
func (r *receiver) attachAll(s *session, now time.Time) error {
	var lacking []*lane
	for _, l := range r.lanes {
		if l.lacking() && !now.Before(l.again) {
			lacking = append(lacking, l)
		}
	}
	errs := make([]error, len(lacking))
	var attaching sync.WaitGroup
	for i, l := range lacking {
		attaching.Go(func() { errs[i] = r.attach(s, l, now) })
	}
	attaching.Wait()
	return cmp.Or(errs...)
}

// failed decides whether to try again later.
func (r *receiver) failed(err error, now time.Time) error {
	if err := refusal(err); errors.Is(err, transport.ErrRefused) || errors.Is(err, amqp.ErrChannelMax) {
		return err
	}
	r.session = nil
	r.pause = min(max(2*r.pause, minPause), maxPause)
	r.retry = now.Add(r.pause)
	return nil
}

// lay makes the channel and the group, so that they last.
func (r *receiver) lay(s *session) error {
	c, last := r.route.Channel, r.lanes[len(r.lanes)-1].queue
	if r.reader {
		last = r.b.names.queue(c.Address, "", r.lanes[len(r.lanes)-1].partition)
	}
	err := s.transact(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(last, true, false, false, false, nil)
		return err
	})
	anew := isMissing(err)
	if err != nil && !anew {
		return err
	}
	err = s.transact(func(ch *amqp.Channel) error {
		if err := r.b.lay(ch, c); err != nil || r.reader {
			return err
		}
		return r.b.layGroup(ch, c, r.route.Group)
	})
	if err != nil || !anew {
		return err
	}
	return s.transact(r.b.settle)
}

// attach consumes what a lane consumes.
func (r *receiver) attach(s *session, l *lane, now time.Time) error {
	if r.streams {
		return r.attachStream(s, l, now)
	}
	prefetch := r.prefetch()
	if prefetch == 0 && l.partition < 0 && r.known {
		return nil // paused: others may have the messages
	}
	y, err := r.consume(s, l.queue, max(prefetch, 1), nil)
	if err != nil {
		return err
	}
	r.begin(l, y, max(prefetch, 1))
	return nil
}

// begin begins a lane's tenure.
func (r *receiver) begin(l *lane, y *stay, prefetch int) {
	now := time.Now()
	l.tenure = &tenure{stay: y, lane: l, prefetch: prefetch, began: now, came: now}
	if l.partition >= 0 {
		l.tenure.yield, l.tenure.revoked = make(chan struct{}), make(chan struct{})
	}
}

const (
	minPrefetch = 32      // of a partition, whatever the credit: it may grow, and a partition's prefetch cannot
	maxPrefetch = 1 << 15 // of AMQP's 65,535
	// A consumer gets a larger prefetch after this time, or at once where it is so many times as large.
	raiseAfter = time.Second
	muchMore   = 8
)

// prefetch is how many messages may be in a lane: all of credit where there is one, else twice its part, as partitions
// are not equally busy.
func (r *receiver) prefetch() int {
	credit, _ := r.credit.Now()
	if r.streams || r.lanes[0].partition >= 0 {
		credit = max(2*credit/len(r.lanes), minPrefetch)
	}
	return min(credit, maxPrefetch)
}

// refit gives an unordered queue's consumer another prefetch when the credit has changed, and none when it is 0: others
// may have what would wait here. The server does not change that of a consumer, so it gets a new one; what is out stays.
// Partitions keep theirs: to stop consuming would hand them over beside what runs. A credit that follows the pace of the
// handlers rises by steps, and not each is worth a new consumer.
func (r *receiver) refit() {
	if r.streams || r.lanes[0].partition >= 0 || r.lanes[0].tenure == nil {
		return
	}
	l := r.lanes[0]
	t, want := l.tenure, r.prefetch()
	if want < t.prefetch || want > muchMore*t.prefetch || want > t.prefetch && time.Since(t.began) > raiseAfter {
		r.retire(t)
		l.again = time.Time{}
		r.kick() // to begin the next one
	}
}

// retire ends an unordered queue's consumer: nothing more is handed out, what waits goes back to the server, what is
// out may end.
func (r *receiver) retire(t *tenure) {
	t.leaving = true
	_ = t.ch.Cancel(t.tag, false) // else the channel has ended
	for _, e := range t.waiting {
		t.reject(e)
	}
	t.waiting, t.lane.tenure = nil, nil
	r.retired = append(r.retired, t)
}

// depart ends the tenures that have nothing more to do.
func (r *receiver) depart(now time.Time) {
	r.retired = slices.DeleteFunc(r.retired, func(t *tenure) bool {
		if t.session.alive() && (t.unsettled > 0 || !t.ended) {
			return false
		}
		r.finish(t, now)
		return true
	})
	for _, l := range r.lanes {
		t := l.tenure
		if t == nil || !t.leaving {
			continue
		}
		late := !t.patience.IsZero() && now.After(t.patience)
		if t.unsettled > 0 && !late {
			continue
		}
		r.revoke(l)
		l.again = now
		if l.hold != nil {
			l.hold.leaving = true
		}
		r.kick()
	}
}

// finish acknowledges the last and closes the channel: what is not settled comes again, in order.
func (r *receiver) finish(t *tenure, now time.Time) {
	t.acknowledge(now)
	if t.session.alive() {
		t.tellAll()
		t.tellStragglers()
	}
	if !t.over.Swap(true) && t.revoked != nil {
		if !t.leaving {
			close(t.yield)
		}
		close(t.revoked)
	}
	_ = t.ch.Close() // ended already is fine
}

// revoke ends a lane's tenure, whatever is out.
func (r *receiver) revoke(l *lane) {
	r.finish(l.tenure, time.Now())
	l.tenure = nil
}

// yield begins to pass a partition on.
func (r *receiver) yield(t *tenure, patience time.Time) {
	t.leaving, t.patience, t.waiting = true, patience, nil
	if t.yield != nil {
		close(t.yield)
	}
}

// leave takes nothing more and gives up everything in order.
func (r *receiver) leave() {
	r.leaving = true
	for _, l := range r.lanes {
		t := l.tenure
		switch {
		case t != nil && !r.streams && l.partition < 0:
			r.retire(t)
		case t != nil && !t.leaving:
			r.yield(t, time.Time{})
		case t != nil:
			t.patience = time.Time{}
		}
	}
}

// lose ends everything that was of a connection that is lost.
func (r *receiver) lose() {
	for _, l := range r.lanes {
		if l.tenure != nil {
			r.revoke(l)
		}
		l.hold, l.again = nil, time.Time{}
	}
	r.session, r.crowd = nil, crowd{}
}
