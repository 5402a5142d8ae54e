package rabbitmq

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// hold is a receiver's place in the line for one partition of a Stream's group. The group's position is a message in a
// queue with a single active consumer: who has the message reads, and replaces it as he goes. To replace it is to
// publish the next one; when that comes, as it does to nobody else, the one before is acknowledged.
type hold struct {
	*stay
	has     bool   // the message is here
	mark    mark   // that it has
	tag     uint64 // of it
	posted  mark   // the last that was published
	when    time.Time
	since   time.Time
	leaving bool // others may have it once the position is stored
	urged   bool // it was published for that
}

const (
	positionEvery = 500 * time.Millisecond // how often a position that moves is stored
	// positionAnew is how often one that does not is: a server closes the channel of who holds a message for too long,
	// a minute at the least.
	positionAnew = 20 * time.Second
	positionWait = 2 * time.Second // for a position to come, if it does
)

// positions is the exchange of the positions of all groups.
func (n names) positions() string { return n.prefix + ".POSITION" }

// layPosition makes the queue that holds the position of a group and partition, and one that shows the last one to
// people and to Backlog.
func (b *Broker) layPosition(ch *amqp.Channel, c transport.Channel, group string, partition int) error {
	if err := ch.ExchangeDeclare(b.names.positions(), "direct", true, false, false, false, nil); err != nil {
		return err
	}
	queue, seen := b.names.queue(c.Address, group, partition), b.names.seen(c.Address, group, partition)
	args := quorum(transport.Channel{Partitions: 1})
	if _, err := ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
		return err
	}
	_, err := ch.QueueDeclare(seen, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-max-length": int64(1), "x-delivery-limit": noDeliveryLimit})
	if err != nil {
		return err
	}
	if err := ch.QueueBind(queue, queue, b.names.positions(), false, nil); err != nil {
		return err
	}
	return ch.QueueBind(seen, queue, b.names.positions(), false, nil)
}

// found makes the first position of a group that has none. When it returns there is one, of whomever: so what is sent
// from then on is the group's.
func (r *receiver) found(s *session, l *lane) error {
	empty := false
	err := s.transact(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(l.queue, true, false, false, false, nil)
		empty = q.Messages == 0 && q.Consumers == 0
		return err
	})
	if err != nil || !empty {
		return err
	}
	first := begin(r.route.From, l.partition)
	if r.known { // a server without its data: all of the new stream is new
		first = mark{kind: markAt}
	}
	if first, err = r.locate(s, l, first); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	defer cancel()
	out, err := r.b.departing()
	if err != nil {
		return err
	}
	p := &parcel{exchange: r.b.names.positions(), key: l.queue, mandatory: true, message: first.message()}
	if err := out.publish(ctx, p); err != nil {
		return err
	}
	if stored, err := p.confirmation.wait(ctx); err != nil || !stored {
		return fmt.Errorf("%w: the first position of the group was not stored", transport.ErrNotSent)
	}
	return nil
}

// locate makes of a position one that the stream has. Now becomes its end. One that does not fit is of a stream that was
// deleted or has lost its last messages: then all of this stream counts as new.
func (r *receiver) locate(s *session, l *lane, m mark) (mark, error) {
	stream := r.b.names.queue(r.route.Channel.Address, "", l.partition)
	if m.kind == "" {
		end, err := s.endOf(stream)
		return mark{kind: markNew, n: end}, err
	}
	if m.kind == markFrom || m.n == 0 {
		return m, nil
	}
	if fits, err := s.fits(stream, m); fits || err != nil {
		return m, err
	}
	return mark{kind: markAt}, nil
}

// message is a position as it is stored, readable to people.
func (m mark) message() message {
	return message{contentType: "text/plain", body: []byte(m.String())}
}

// take takes a position that came: the newer one stays. One that cannot be read counts as the stream's beginning, so
// that nothing is missed.
func (h *hold) take(d *delivery) {
	m, err := parseMark(string(d.body))
	if err != nil {
		m = mark{kind: markAt}
	}
	old := h.tag
	if h.has && !m.newer(h.mark) && m != h.posted {
		old = d.tag
	} else {
		h.mark, h.tag = m, d.tag
	}
	if h.has {
		_ = h.ch.Ack(old, false) // else the channel has ended, and both come again
	}
	h.has = true
}

// attachStream consumes a partition of a stream: a reader at once, a group's member when it has the position.
func (r *receiver) attachStream(s *session, l *lane, now time.Time) error {
	if !r.reader && l.hold == nil {
		if err := r.found(s, l); err != nil {
			return err
		}
		y, err := r.consume(s, l.queue, minPrefetch, nil)
		if err != nil {
			return err
		}
		l.hold = &hold{stay: y, since: now}
	}
	if !l.lacking() {
		return nil
	}
	switch {
	case l.hold != nil && l.hold.posted.kind == "":
		l.position = l.hold.mark
		l.hold.posted, l.hold.when = l.position, now
	case l.position.kind == "":
		l.position = begin(r.route.From, l.partition)
	}
	m, err := r.locate(s, l, l.position)
	if err != nil {
		return err
	}
	l.position = m
	prefetch := r.prefetch()
	source := r.b.names.queue(r.route.Channel.Address, "", l.partition)
	y, err := r.consume(s, source, prefetch, amqp.Table{"x-stream-offset": l.position.offset()})
	if err != nil {
		return err
	}
	r.begin(l, y, prefetch)
	l.tenure.owned = true
	return nil
}

// skip drops what stands first in a lane and is not for this receiver: what is before its beginning, and copies for
// other groups. It notes when the end is reached.
func (r *receiver) skip(t *tenure) {
	l := t.lane
	for len(t.waiting) > 0 && t.waiting[0].tries == 0 {
		e := t.waiting[0]
		if beyond(r.route.Until, l.partition, e) {
			l.reached = true
			return
		}
		early := l.position.kind == markFrom && e.sent > 0 && e.sent < l.position.n
		if !early && !r.foreign(e.message) {
			if l.position.kind == markFrom {
				l.position = mark{kind: markAt, n: e.offset}
			}
			return
		}
		t.waiting = t.waiting[1:]
		t.acks.handle(e.message.tag)
		if early {
			continue
		}
		t.out = append(t.out, e)
		t.advance(e)
	}
}

// foreign reports whether a message of a stream is a copy for another group.
func (r *receiver) foreign(d *delivery) bool {
	group, _ := d.headers.find(attributeStart + "parleygroup").value().(string)
	return group != "" && group != r.route.Group
}

// advance notes that an entry of a stream is settled, and moves the position over all that is.
func (t *tenure) advance(e *entry) {
	e.settled, e.message = true, nil // which is large, and may have to wait here for one before it
	n := 0
	for n < len(t.out) && t.out[n].settled {
		t.lane.position = mark{kind: markAt, n: t.out[n].offset + 1, sent: t.out[n].sent}
		n++
	}
	clear(t.out[:n])
	t.out = t.out[n:]
}

// keepPositions stores positions that have moved, now and then, and those that have not, before they are held too long.
// It gives up those that others may have, once they are stored.
func (r *receiver) keepPositions(now time.Time) {
	for _, l := range r.lanes {
		h := l.hold
		if h == nil {
			continue
		}
		h.leaving = h.leaving || r.leaving && l.tenure == nil
		stored := !h.has || h.posted.kind == "" || h.mark == l.position
		age := now.Sub(h.when)
		switch {
		case h.leaving && (stored || h.urged && age > positionWait):
			_ = h.ch.Close() // ended already is fine
			l.hold, l.again = nil, now
			r.kick()
		case h.leaving && !h.urged:
			h.urged = true
			r.post(l, now)
		case !stored && age >= positionEvery, h.posted.kind != "" && age >= positionAnew:
			r.post(l, now)
		}
	}
}

// loseHold ends a lane that has lost its place.
func (r *receiver) loseHold(l *lane) {
	if l.tenure != nil {
		r.revoke(l)
	}
	_ = l.hold.ch.Close() // ended already is fine
	l.hold = nil
}

// post publishes a position. That it is stored shows when it comes.
func (r *receiver) post(l *lane, now time.Time) {
	h := l.hold
	h.posted, h.when = l.position, now
	s, _, _ := r.b.outward.now()
	if s == nil || !s.alive() {
		return // later
	}
	if s.idle() {
		m := l.position.message()
		_, _ = s.put(r.b.names.positions(), l.queue, false, &m) // else later
	}
}
