package rabbitmq

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// lane is one partition of a receiver, or all of an unordered channel.
type lane struct {
	partition int
	queue     string
	tenure    *tenure   // nil = nothing is consumed
	again     time.Time // when to try once more, after the server ended the consuming
	hold      *hold     // of a Stream's group: the position, and with it the right to read; nil = not asked for
	position  mark      // of a Stream: where to read on
	reached   bool      // of a Stream: everything before until came
	ends      int       // how often the server ended the consuming since a message came
}

// lacking reports whether l should consume its messages and does not.
func (l *lane) lacking() bool {
	return l.tenure == nil && (l.hold == nil || l.hold.has && !l.hold.leaving)
}

// stay is one consumer at the server, on a channel of its own.
type stay struct {
	session *session
	ch      *amqp.Channel
	tag     string // of the consumer
	ended   bool   // nothing more comes
}

// tenure is the time in which a lane's messages come from one consumer.
type tenure struct {
	*stay
	lane      *lane
	prefetch  int
	acks      acks
	waiting   []*entry // fetched and not handed out, by tag
	out       []*entry // of a Stream: handed out, in order, from the oldest that is not settled
	returned  []*entry // of an unordered queue: to be given back to the server when they are due
	unsettled int      // handed out and not settled
	owned     bool     // a message came: nobody else has the partition
	over      atomic.Bool
	yield     chan struct{} // closed when the partition is to pass on; nil = unordered
	revoked   chan struct{} // closed when another instance may have it; nil = unordered
	leaving   bool
	patience  time.Time // while leaving: until when what runs is waited for; zero = for ever
	lag       time.Time // since when something is handled and no acknowledgement was sent; zero = nothing is
	began     time.Time
	came      time.Time // when the last message came, or it began
	asked     bool      // since then the server was asked whether that is all
}

// entry is a message in a receiver's hands.
type entry struct {
	tenure  *tenure
	message *delivery // nil = of a Stream, and settled
	offset  int64     // of a Stream
	sent    int64     // of a Stream, see sentHeader
	tries   int       // how often it was handed out and returned
	due     time.Time // not to be handed out, or given back, before
	over    atomic.Bool
	outcome transport.Outcome // once over
	settled bool              // of a Stream: it was handled
}

const (
	firstPause = 10 * time.Millisecond // before what was returned comes again; doubles with each time
	lastPause  = time.Second
)

func returnPause(times int) time.Duration {
	if times > 6 {
		return lastPause
	}
	return firstPause << times
}

// settle ends an entry; a second time it does nothing.
func (r *receiver) settle(e *entry, o transport.Outcome) {
	if e.over.Swap(true) {
		return
	}
	r.mu.Lock()
	e.outcome = o
	r.settled = append(r.settled, e)
	r.mu.Unlock()
	r.kick()
}

func (r *receiver) delivery(e *entry) *transport.Delivery {
	t, c := e.tenure, r.route.Channel
	d := &transport.Delivery{
		Envelope:  decode(c.Address, func() string { return r.identify(e) }, e.message),
		Partition: t.lane.partition,
		Valid:     func() bool { return !t.over.Load() && !t.ch.IsClosed() && t.session.valid() },
		Yield:     t.yield,
		Revoked:   t.revoked,
		Settle:    func(o transport.Outcome) { r.settle(e, o) },
	}
	if r.streams {
		d.Position = place{max(t.lane.partition, 0), e.offset, e.sent}.String()
	}
	return d
}

// identify makes an ID for what has none: the same when it comes again.
func (r *receiver) identify(e *entry) string {
	if r.streams {
		return fmt.Sprintf("%s.%d", e.tenure.lane.queue, e.offset)
	}
	sum := sha256.Sum256(append([]byte(e.message.id+"\x00"), e.message.body...))
	return e.tenure.lane.queue + "." + hex.EncodeToString(sum[:12])
}

// putBack puts a returned entry in its place among those that wait, to come again after a pause. All that follows it in
// its partition waits as well.
func (t *tenure) putBack(e *entry, now time.Time) {
	again := &entry{tenure: t, message: e.message, offset: e.offset, sent: e.sent, tries: e.tries + 1, due: now.Add(returnPause(e.tries))}
	i, _ := slices.BinarySearchFunc(t.waiting, again.message.tag, func(w *entry, tag uint64) int {
		return int(w.message.tag) - int(tag)
	})
	t.waiting = slices.Insert(t.waiting, i, again)
	if i := slices.Index(t.out, e); i >= 0 {
		t.out[i] = again // its position is still the oldest
	}
}

// giveBack notes that an entry of an unordered queue goes back to the server, which may give it to another instance. The
// server counts how often.
func (t *tenure) giveBack(e *entry, now time.Time) {
	count := e.message.headers.number("x-delivery-count")
	e.due = now.Add(returnPause(int(min(count, 10))))
	t.returned = append(t.returned, e)
}

// acknowledge tells the server what is handled: once that is a quarter of what it lets out, or ackWait has passed. Each
// acknowledgement is a write to the disk of a quorum queue.
func (t *tenure) acknowledge(now time.Time) {
	if t.over.Load() {
		return
	}
	if t.lag.IsZero() {
		t.lag = now
	}
	switch late := now.Sub(t.lag) >= ackWait; {
	case t.acks.ahead == 0:
		t.lag = time.Time{}
	case !late && !t.leaving && t.acks.ahead < t.prefetch/4:
	case !t.tellAll() && late:
		t.tellStragglers()
	}
	t.returned = slices.DeleteFunc(t.returned, func(e *entry) bool {
		if e.due.After(now) && !t.leaving {
			return false
		}
		t.reject(e)
		return true
	})
}

// tellAll acknowledges everything that is handled in order, and reports whether there is any.
func (t *tenure) tellAll() bool {
	tag := t.acks.prefix()
	if tag > 0 {
		_ = t.ch.Ack(tag, true) // else the channel has ended, and it comes again
		t.lag = time.Time{}
	}
	return tag > 0
}

// tellStragglers acknowledges what is handled ahead of something that takes longer.
func (t *tenure) tellStragglers() {
	for _, tag := range t.acks.stragglers() {
		_ = t.ch.Ack(tag, false) // else the channel has ended, and it comes again
	}
	t.lag = time.Time{}
}

// reject gives an entry back to the server at once.
func (t *tenure) reject(e *entry) {
	t.acks.tell(e.message.tag)
	_ = t.ch.Nack(e.message.tag, false, true) // else the channel has ended, and it comes again
}

// busy reports whether something is to be done for t soon.
func (t *tenure) busy() bool {
	return t.leaving || t.acks.ahead > 0 || len(t.returned) > 0 || len(t.waiting) > 0 && !t.waiting[0].due.IsZero()
}

// farAhead reports whether so much was handled behind the oldest message of a stream that still runs that this comes
// first: a crash would repeat all of it.
func (t *tenure) farAhead() bool {
	return len(t.out) >= 10*t.prefetch && (len(t.waiting) == 0 || t.waiting[0].tries == 0)
}

// ackWait is how long an acknowledgement waits for others, and for those before it.
const ackWait = 10 * time.Millisecond
