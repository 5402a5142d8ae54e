package rabbitmq

import (
	"container/heap"
	"context"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// mover holds what will be due soon and hands it on when it is. Each Broker that declares or receives has one, and the
// server gives all that is in one of the queues to one of them. What a mover has not handed on and settled when it ends,
// or its connection, the next one gets: with what was on its way just then, which is two copies with one ID.
//
// A message is due when the rest of its time has passed since it came, or, if that is earlier, at its time by the
// server's clock. By the first alone it would be late by as long as the ladder was late or no mover was there; by the
// second alone nothing would be on time as long as the time is not known. Neither asks what the clocks of processes show.
//
// All of it belongs to one goroutine.
type mover struct {
	b       *Broker
	session *session // of ch
	ch      *amqp.Channel
	near    [nears]<-chan amqp.Delivery
	held    holdings   // not due yet
	moving  []*holding // published and not confirmed
	looked  time.Time  // when confirmations were looked for
	retry   time.Time  // when to consume again, if that has failed
	pause   time.Duration
}

// holding is a message in a mover's hands.
type holding struct {
	parcel
	tag   uint64
	due   time.Time
	tries int
}

const (
	nears = 3 // queues in front of the mover: what waits behind others in one of them is due soon after those at the latest
	// nearPrefetch is how many messages of a queue are in a mover's hands. What waits at the server behind so many is not
	// looked at, and late if it is due before them: 8,192 are 256 a second due evenly over slack, about what the ladder
	// brings. What is delayed equally long, such as retries, comes in the order in which it is due, and has no such bound.
	nearPrefetch = 8192
	// clockWait is how long a mover waits for the first answer about the server's time.
	clockWait = 2 * time.Second
	lookEach  = 10 * time.Millisecond // for confirmations
)

// nearLimit is the longest rest of what goes into a queue: 4 s, 16 s, and two slacks.
func nearLimit(k int) time.Duration { return 2 * slack >> (2 * (nears - 1 - k)) }

// nearFor is the queue for a rest.
func nearFor(rest time.Duration) int {
	k := 0
	for k < nears-1 && rest > nearLimit(k) {
		k++
	}
	return k
}

// keepMoving begins to move what is due, and to know the server's time, until the Broker is closed. The caller is a user.
func (b *Broker) keepMoving() {
	b.moving.Do(func() {
		b.users.Go(b.keepTime)
		b.users.Go((&mover{b: b}).run)
	})
}

func (m *mover) run() {
	defer m.lose()
	select {
	case <-m.b.clock.first:
	case <-time.After(clockWait):
	case <-m.b.closing:
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		_, _, changed := m.b.inward.now()
		timer.Reset(m.step(time.Now()))
		select {
		case d, open := <-m.near[0]:
			m.take(&d, open)
		case d, open := <-m.near[1]:
			m.take(&d, open)
		case d, open := <-m.near[2]:
			m.take(&d, open)
		case <-changed:
		case <-timer.C:
		case <-m.b.closing:
			m.end()
			return
		}
	}
}

// step does everything that can be done now, and says how long nothing happens by itself.
func (m *mover) step(now time.Time) (rest time.Duration) {
	m.connect(now)
	moves := m.move(now)
	if now.Sub(m.looked) >= lookEach {
		m.look(now)
	}
	switch {
	case len(m.moving) > 0 || !moves:
		return lookEach
	case m.ch == nil:
		return minPause
	case len(m.held) > 0:
		return max(time.Until(m.held[0].due), 0)
	}
	return time.Second
}

// connect consumes, if that is not so.
func (m *mover) connect(now time.Time) {
	s, _, _ := m.b.inward.now()
	if m.ch != nil && (s != m.session || !s.alive()) {
		m.lose()
	}
	if m.ch != nil || s == nil || !s.alive() || now.Before(m.retry) {
		return
	}
	if err := m.consume(s); err != nil {
		m.lose()
		m.pause = min(max(2*m.pause, minPause), maxPause)
		m.retry = now.Add(m.pause)
		return
	}
	m.pause = 0
}

func (m *mover) consume(s *session) error {
	err := s.transact(m.b.standing)
	if isMissing(err) {
		if err = s.transact(m.b.layLadder); err == nil {
			err = s.transact(m.b.settle)
		}
	}
	if err != nil {
		return err
	}
	if m.ch, err = s.channel(); err != nil {
		return err
	}
	m.session = s
	if err := m.ch.Qos(nearPrefetch, 0, false); err != nil { // of each consumer
		return err
	}
	for k := range nears {
		queue := m.b.names.near(k)
		if m.near[k], err = m.ch.Consume(queue, queue, false, false, false, false, nil); err != nil {
			return err
		}
	}
	return nil
}

// take takes a message from the server, or that nothing more comes.
func (m *mover) take(d *amqp.Delivery, open bool) {
	now := time.Now()
	if !open {
		m.lose()
		m.retry = now.Add(deletionTime) // perhaps somebody has deleted the queue
		return
	}
	wait := time.Duration(numberOf(d, restHeader))
	if at, ok := d.Headers[dueHeader].(int64); ok {
		if w, known := m.b.clock.until(at, now); known {
			wait = min(wait, w)
		}
	}
	key, _ := d.Headers[targetHeader].(string)
	heap.Push(&m.held, &holding{
		parcel: parcel{
			exchange: m.b.names.due(), key: key, message: forward(d),
			mandatory: !strings.HasPrefix(key, topicWord), // else it would be held until there is a group
		},
		tag: d.DeliveryTag, due: now.Add(wait),
	})
}

// forward is a message without what it got on its way.
func forward(d *amqp.Delivery) message {
	m := message{contentType: d.ContentType, id: d.MessageId, body: d.Body}
	for name, value := range d.Headers {
		switch s, err := text(value); {
		case name == sentHeader:
			n, _ := value.(int64)
			m.headers.putNumber(name, n)
		case strings.HasPrefix(name, "x-"):
		case err == nil:
			m.headers.putText("", name, s)
		default: // who receives it says so
			m.headers.putVoid(name)
		}
	}
	return m
}

// move publishes what is due, and reports whether all of it could be.
func (m *mover) move(now time.Time) bool {
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	defer cancel()
	for len(m.held) > 0 && !m.held[0].due.After(now) {
		s, err := m.b.departing()
		if err != nil || !s.idle() {
			return false
		}
		if m.b.denied.check(m.b.names.due()) != nil { // another process may be allowed to
			m.lose()
			m.retry = now.Add(deniedFor)
			return true
		}
		h := heap.Pop(&m.held).(*holding)
		if err := s.publish(ctx, &h.parcel); err != nil {
			m.again(h, now)
			continue
		}
		m.moving = append(m.moving, h)
	}
	return true
}

// look settles what is confirmed. What is not, or has come back as no queue takes it, is tried again.
func (m *mover) look(now time.Time) {
	m.looked = now
	m.moving = slices.DeleteFunc(m.moving, func(h *holding) bool {
		select {
		case <-h.confirmation.done:
		default:
			return false
		}
		if h.confirmation.stored() {
			_ = m.ch.Ack(h.tag, false) // else the channel has ended, and it comes again
			return true
		}
		m.b.noteDenied(&h.parcel)
		m.again(h, now)
		return true
	})
}

// again has a message wait before it is tried once more.
func (m *mover) again(h *holding, now time.Time) {
	h.due = now.Add(min(minPause<<min(h.tries, 10), maxPause))
	h.tries++
	heap.Push(&m.held, h)
}

// end publishes nothing more, but waits for what is on its way.
func (m *mover) end() {
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for m.ch != nil && m.session.alive() {
		if m.look(time.Now()); len(m.moving) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-m.b.dead:
			return
		}
	}
}

// lose gives back everything that is held, to whoever is next.
func (m *mover) lose() {
	if m.ch != nil {
		_ = m.ch.Close() // ended already is fine
	}
	m.session, m.ch, m.near, m.held, m.moving = nil, nil, [nears]<-chan amqp.Delivery{}, nil, nil
}

// holdings is a heap of what is held, by when it is due.
type holdings []*holding //nolint:recvcheck // heap.Interface wants pointers where the length changes

func (h holdings) Len() int           { return len(h) }
func (h holdings) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h holdings) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements [heap.Interface].
func (h *holdings) Push(x any) { *h = append(*h, x.(*holding)) }

// Pop implements [heap.Interface].
func (h *holdings) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
