package nats

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/parley-io/parley/transport"
)

// lane is what goes to one stream. Few messages are written as they come. When there are enough for an atomic batch, which
// costs the server about eight synced writes whatever its size, one group is on its way at a time, and what comes meanwhile
// gathers and is the next. What may be a repetition is never in a batch, and nothing is beside it on its way. Who adds to
// an idle lane launches, and then the answers do.
type lane struct {
	b       *Broker
	stream  string
	channel transport.Channel // zero: this Broker has not declared it, only the mover uses it
	single  bool              // no batches: a schedule replaces another, which batches do not expect

	mu      sync.Mutex
	queue   []*item
	pumping bool // somebody launches
	flying  int  // answers that are waited for
	barred  bool // nothing is launched before the last of them
	// After a batch, those whose messages were in it send again, and they should come into the next batch beside those
	// who wait already: else two halves take turns, and each pays for a batch of its own.
	expected int         // how many the queue shall gather before it is launched; 0 = none
	hold     *time.Timer // runs while it does; nil = it does not
}

// item is an envelope of a Send on its way.
type item struct {
	msg      *message
	position bool   // its place in this lane's stream is its position
	audience string // the stream whose groups count; "" = there is one
	part     string // the partition in it; "" = it has none
	to       string // the one group that it is for; "" = all
	id       string // by which the server deduplicates; "" = it does not; set by add
	repeated bool   // the server may have it already; set by add
	settled  func(transport.Receipt)
}

const (
	maxBatch      = 512     // the server's limit is 1000
	maxBatchBytes = 4 << 20 // staged in the server's memory before they are stored
	minBatch      = 20      // a batch costs the server's disk about as much as this many single messages
	// gather is how long a queue gathers. The server needs about as long to clean up after a batch.
	gather = time.Millisecond
	// inProcess is how long a cluster is given to store a message before it is asked about it again.
	inProcess = 20 * time.Millisecond
)

func newLane(b *Broker, stream string, c transport.Channel) *lane {
	return &lane{b: b, stream: stream, channel: c}
}

// add sends items in their order. The caller is a user of the connection.
func (l *lane) add(items []*item) {
	for _, i := range items {
		i.id = i.msg.Header.Get(natsio.MsgIdHdr)
		i.repeated = l.b.doubts.about(l.stream, i)
	}
	l.mu.Lock()
	l.queue = append(l.queue, items...)
	idle := !l.pumping && !l.waits()
	l.mu.Unlock()
	if idle {
		l.b.users.Go(l.pump) // the connection may keep who writes waiting longer than the caller wants to
	}
}

// withdraw takes back what has not been written yet. Others of the items are on their way or have landed.
func (l *lane) withdraw(items []*item) (withdrawn []*item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = slices.DeleteFunc(l.queue, func(i *item) bool {
		if slices.Contains(items, i) {
			withdrawn = append(withdrawn, i)
			return true
		}
		return false
	})
	if len(l.queue) == 0 {
		l.gathered()
	}
	return withdrawn
}

// gathered ends the waiting for others. l.mu is held.
func (l *lane) gathered() {
	l.expected = 0
	if l.hold != nil {
		l.hold.Stop()
		l.hold = nil
	}
}

// pump launches what may go now. One does that at a time, so that all is written in the order of the queue.
func (l *lane) pump() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pumping { // and looks again
		return
	}
	l.pumping = true
	for group := l.next(); group != nil; group = l.next() {
		l.mu.Unlock()
		if l.singly(group) {
			l.launchSingly(group)
		} else {
			l.launchBatch(group)
		}
		l.mu.Lock()
	}
	l.pumping = false
}

// waits reports whether the queue is to wait for the last answer to what is on its way, and if so, it does until then.
// l.mu is held.
func (l *lane) waits() bool {
	if l.flying == 0 || len(l.queue) == 0 {
		return false
	}
	batch := !l.single && l.flying+len(l.queue) >= minBatch // it will be one, once their senders send again
	l.barred = l.barred || batch || l.queue[0].repeated
	return l.barred
}

// next takes a group from the queue, if one may go, and counts the answers that it will get. l.mu is held.
func (l *lane) next() []*item {
	if len(l.queue) == 0 || l.waits() {
		return nil
	}
	if len(l.queue) < l.expected {
		if l.hold == nil {
			l.hold = time.AfterFunc(gather, l.launchGathered)
		}
		return nil
	}
	l.gathered()
	n, size := 0, 0
	for n < len(l.queue) && n < maxBatch && size < maxBatchBytes && l.queue[n].repeated == l.queue[0].repeated {
		size += len(l.queue[n].msg.Data)
		n++
	}
	group := slices.Clone(l.queue[:n])
	l.queue = slices.Delete(l.queue, 0, n)
	if l.singly(group) {
		l.flying += n
		l.barred = group[0].repeated
	} else {
		l.flying, l.barred = 1, true
	}
	return group
}

// singly reports whether a group is no batch.
func (l *lane) singly(group []*item) bool {
	return l.single || len(group) < minBatch || group[0].repeated
}

// launchGathered launches what there is: no more came in time.
func (l *lane) launchGathered() {
	l.mu.Lock()
	l.gathered()
	l.mu.Unlock()
	l.pump()
}

func (l *lane) launchSingly(group []*item) {
	for _, i := range group {
		l.launchOne(&flight{lane: l, items: []*item{i}, begun: time.Now()})
	}
}

func (l *lane) launchOne(f *flight) {
	reply := l.b.confirms.expect(f)
	if err := f.items[0].msg.publish(l.b.nc, reply); err != nil && l.b.confirms.drop(reply) {
		l.settle(f, confirmation{}, unwritten(err, l.b.away()))
	}
}

// launchBatch writes an atomic batch: the server stores all of it or nothing, when it has read the last message.
func (l *lane) launchBatch(group []*item) {
	f := &flight{lane: l, items: group, batch: true}
	id, last := nuid.Next(), len(group)-1
	for n, i := range group[:last] {
		i.msg.inBatch(id, n+1)
		if err := i.msg.publish(l.b.nc, ""); err != nil { // never committed, hence nothing is stored
			l.settle(f, confirmation{}, unbegun(err, l.b.away()))
			return
		}
	}
	group[last].msg.inBatch(id, last+1)
	group[last].msg.commit()
	reply := l.b.confirms.expect(f)
	if err := group[last].msg.publish(l.b.nc, reply); err != nil && l.b.confirms.drop(reply) {
		l.settle(f, confirmation{}, unwritten(err, l.b.away()))
	}
}

// land takes the answer to a flight and launches what has gathered.
func (l *lane) land(f *flight, c confirmation, err error) {
	if f.batch && c.Error != nil {
		l.split(f)
		return
	}
	if c.Error != nil && c.Error.ErrCode == codeInProcess && time.Since(f.begun) < answerLimit {
		l.mu.Lock()
		l.barred = true
		l.mu.Unlock()
		time.AfterFunc(inProcess, func() { // asks again what became of its twin, which came before all that follows
			l.launchOne(f)
			l.pump() // if it could not be written
		})
		return
	}
	l.settle(f, c, err)
	l.pump()
}

// split sends the members of a refused batch singly: nothing of it was stored, whatever the reason. Most often it is
// that one of them is the repetition of a message that the server has.
func (l *lane) split(f *flight) {
	l.mu.Lock()
	l.flying += len(f.items) - 1
	l.mu.Unlock()
	for _, i := range f.items {
		i.msg.alone()
	}
	l.launchSingly(f.items)
	l.pump() // if none could be written
}

// settle gives each item of a flight its receipt.
func (l *lane) settle(f *flight, c confirmation, err error) {
	l.mu.Lock()
	l.flying--
	if f.batch {
		l.expected = min(len(l.queue)+len(f.items), maxBatch)
	}
	l.mu.Unlock()
	first := c.Seq + 1 - uint64(len(f.items)) // a batch's sequences are consecutive, and the answer has the last
	for n, i := range f.items {
		if unknown(err) {
			l.b.doubts.note(l.stream, i)
		}
		if err != nil {
			i.settled(transport.Receipt{Err: err, Groups: -1})
			continue
		}
		r := transport.Receipt{Groups: 1}
		if i.position {
			r.Position = strconv.FormatUint(first+uint64(n), 10)
		}
		if i.audience != "" {
			r.Groups = l.b.audience.count(i.audience, i.part, i.to)
		}
		i.settled(r)
	}
}

// certainly is err for messages that the server cannot have stored.
func certainly(err error) error {
	if errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
}
