package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// receiver runs one Receive. Everything below settled belongs to its loop, which is one goroutine and lends each
// lane to another while that attaches it: the connection and those who settle only leave a note and wake it.
type receiver struct {
	b        *Broker
	route    transport.Route
	take     func(*transport.Delivery)
	credit   *transport.Credit
	ready    func() // may be nil
	streams  bool
	reader   bool // of a Stream, without a group: leaves nothing behind
	balanced bool // its partitions are shared among the group's members

	wake    chan struct{} // of capacity 1
	pumps   sync.WaitGroup
	mu      sync.Mutex
	arrived []arrival
	settled []*entry

	session   *session // that everything below is of; nil = none
	retry     time.Time
	pause     time.Duration
	known     bool // the group was there once
	lanes     []*lane
	turn      int       // the lane that is asked first for a message
	retired   []*tenure // of an unordered queue: they get nothing more and still have something out
	crowd     crowd
	unsettled int // handed out and not settled
	leaving   bool
	ended     bool // until is reached
}

// arrival is what a consumer's channel says.
type arrival struct {
	stay      *stay
	message   *delivery   // nil = nothing more comes
	why       *amqp.Error // the server closed the channel
	cancelled bool        // the server ended the consuming: the queue is gone
}

// run receives until ctx is done, the Broker is closed or until is reached, and everything that was handed out is
// settled.
func (r *receiver) run(ctx context.Context) error {
	defer r.pumps.Wait()
	defer r.release()
	closing, done := r.b.closing, ctx.Done()
	stop := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		_, _, changed := r.b.inward.now()
		_, credited := r.credit.Now() // both before they are looked at, so that no change is missed
		if err := r.step(time.Now(), stop || r.ended); err != nil {
			return err
		}
		if r.leaving && r.left() {
			return nil
		}
		timer.Reset(r.rest())
		select {
		case <-r.wake:
		case <-credited:
		case <-changed:
		case <-timer.C:
		case <-done:
			done, stop = nil, true
		case <-closing:
			closing, stop = nil, true
		case <-r.b.dead:
			return fmt.Errorf("%w: %d deliveries were not settled", transport.ErrClosed, r.unsettled)
		}
	}
}

// step does everything that can be done now.
func (r *receiver) step(now time.Time, stop bool) error {
	if err := r.sort(now); err != nil {
		return err
	}
	if stop && !r.leaving {
		r.leave()
	}
	if !r.leaving {
		if err := r.connect(now); err != nil {
			return err
		}
		r.announce()
		r.refit()
		r.work(now)
		r.reach(now)
		r.balance(now)
	}
	r.acknowledge(now)
	r.keepPositions(now)
	r.depart(now)
	return nil
}

// rest is how long nothing happens by itself.
func (r *receiver) rest() time.Duration {
	for _, l := range r.lanes {
		if l.tenure != nil && l.tenure.busy() {
			return firstPause
		}
	}
	if len(r.retired) > 0 || r.leaving {
		return firstPause
	}
	return 250 * time.Millisecond
}

// kick wakes the loop.
func (r *receiver) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// arrive takes messages from a consumer.
func (r *receiver) arrive(y *stay, batch []*delivery) {
	r.mu.Lock()
	for _, d := range batch {
		r.arrived = append(r.arrived, arrival{stay: y, message: d})
	}
	r.mu.Unlock()
	r.kick()
}

func (r *receiver) note(a arrival) {
	r.mu.Lock()
	r.arrived = append(r.arrived, a)
	r.mu.Unlock()
	r.kick()
}

// consume begins to consume from a queue on a channel of its own. What comes arrives.
func (r *receiver) consume(s *session, queue string, prefetch int, args amqp.Table) (*stay, error) {
	ch, err := s.channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return nil, err
	}
	ended, cancelled := ch.NotifyClose(make(chan *amqp.Error, 1)), ch.NotifyCancel(make(chan string, 1))
	y := &stay{session: s, ch: ch}
	y.tag = s.out.expect(func(batch []*delivery) { r.arrive(y, batch) })
	over, err := ch.Consume(queue, y.tag, false, false, false, false, args)
	if err != nil {
		s.out.forget(y.tag)
		_ = ch.Close() // the server has closed it
		return nil, err
	}
	r.pumps.Go(func() {
		<-over // the library gets none of the messages
		s.out.forget(y.tag)
		a := arrival{stay: y}
		select {
		case a.why = <-ended:
		default:
		}
		select {
		case _, a.cancelled = <-cancelled:
		default:
		}
		r.note(a)
	})
	return y, nil
}

// sort takes what has arrived and what is settled.
func (r *receiver) sort(now time.Time) error {
	r.mu.Lock()
	arrived := r.arrived
	r.arrived = nil
	r.mu.Unlock()
	for i := range arrived {
		a := &arrived[i]
		a.stay.ended = a.stay.ended || a.message == nil
		if err := r.receive(a, now); err != nil {
			return err
		}
	}
	r.account(now)
	return nil
}

// account takes what is settled.
func (r *receiver) account(now time.Time) {
	r.mu.Lock()
	settled := r.settled
	r.settled = nil
	r.mu.Unlock()
	for _, e := range settled {
		r.end(e, now)
	}
}

// receive takes one thing that arrived. What is of no stay that we still have is forgotten: it comes again.
func (r *receiver) receive(a *arrival, now time.Time) error {
	for _, t := range r.retired {
		if t.stay == a.stay && a.message != nil {
			t.reject(&entry{tenure: t, message: a.message})
			return nil
		}
	}
	for _, l := range r.lanes {
		switch {
		case l.hold != nil && l.hold.stay == a.stay:
			if a.message != nil {
				l.hold.take(a.message)
				return nil
			}
			r.loseHold(l)
			return r.parted(l, a, true, now)
		case l.tenure != nil && l.tenure.stay == a.stay:
			if a.message != nil {
				l.tenure.fetch(a.message, now)
				return nil
			}
			r.revoke(l)
			return r.parted(l, a, r.route.Group != "" && !r.streams, now)
		}
	}
	return nil
}

// parted decides what follows when the server has ended a consumer of a lane, maybe of what is the group's own: to try
// again, or that it is useless.
func (r *receiver) parted(l *lane, a *arrival, ofGroup bool, now time.Time) error {
	if a.cancelled && ofGroup {
		return fmt.Errorf("the group was removed: %w", transport.ErrNotFound)
	}
	if a.cancelled { // it is declared again, and all of a new stream is new
		r.session, r.retry = nil, now.Add(deletionTime)
		l.position = mark{kind: markAt}
	}
	if a.why != nil && a.why.Code == amqp.AccessRefused {
		return refusal(a.why)
	}
	l.again = now.Add(returnPause(l.ends))
	l.ends++
	return nil
}

// fetch takes a message into the lane.
func (t *tenure) fetch(d *delivery, now time.Time) {
	t.came, t.asked, t.owned, t.lane.ends = now, false, true, 0
	if !t.leaving {
		t.waiting = append(t.waiting, &entry{tenure: t, message: d, offset: d.headers.number(offsetHeader), sent: d.headers.number(sentHeader)})
	}
}

// end ends an entry that was handed out.
func (r *receiver) end(e *entry, now time.Time) {
	t := e.tenure
	r.unsettled--
	t.unsettled--
	switch {
	case t.over.Load():
	case e.outcome == transport.Done && r.streams:
		t.advance(e)
	case e.outcome == transport.Done:
		t.acks.handle(e.message.tag)
	case t.yield == nil && !r.streams:
		t.giveBack(e, now)
	case !t.leaving:
		t.putBack(e, now)
	}
}

// work hands out what waits, as far as credit goes, the lanes in turn.
func (r *receiver) work(now time.Time) {
	credit, _ := r.credit.Now()
	for r.unsettled < credit {
		e := r.pick(now)
		if e == nil {
			return
		}
		t := e.tenure
		t.unsettled++
		r.unsettled++
		if r.streams && e.tries == 0 {
			t.out = append(t.out, e)
			t.acks.handle(e.message.tag) // to the server it only means that more may come
		}
		r.take(r.delivery(e))
		r.account(now) // what take gave back at once comes again before anything newer
	}
}

// pick takes the next message that may be handed out.
func (r *receiver) pick(now time.Time) *entry {
	for range r.lanes {
		l := r.lanes[r.turn]
		r.turn = (r.turn + 1) % len(r.lanes)
		t := l.tenure
		if t == nil || t.leaving || t.farAhead() {
			continue
		}
		if r.streams {
			r.skip(t)
		}
		if len(t.waiting) > 0 && !t.waiting[0].due.After(now) && !l.reached {
			e := t.waiting[0]
			t.waiting[0], t.waiting = nil, t.waiting[1:]
			return e
		}
	}
	return nil
}

func (r *receiver) acknowledge(now time.Time) {
	for _, l := range r.lanes {
		if l.tenure != nil {
			l.tenure.acknowledge(now)
		}
	}
	for _, t := range r.retired {
		t.acknowledge(now)
	}
}

// announce calls Ready once everything is consumed.
func (r *receiver) announce() {
	if r.known || r.session == nil {
		return
	}
	for _, l := range r.lanes {
		if l.hold == nil && l.tenure == nil {
			return
		}
	}
	r.known = true
	if r.ready != nil {
		r.ready()
	}
}

// left reports whether the receiver may end.
func (r *receiver) left() bool {
	if r.unsettled > 0 || len(r.retired) > 0 {
		return false
	}
	return !slices.ContainsFunc(r.lanes, func(l *lane) bool { return l.tenure != nil || l.hold != nil })
}

// release frees what the receiver has on the connection.
func (r *receiver) release() {
	stays := []*stay{r.crowd.stay}
	for _, t := range r.retired {
		stays = append(stays, t.stay)
	}
	for _, l := range r.lanes {
		if l.tenure != nil {
			r.revoke(l)
		}
		if l.hold != nil {
			stays = append(stays, l.hold.stay)
		}
	}
	for _, y := range stays {
		if y != nil {
			_ = y.ch.Close() // ended already is fine
		}
	}
}
