package kafka

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// lane is one partition as long as a receiver has it. The receiver's mutex guards it.
type lane struct {
	receiver  *receiver
	partition int32
	fence     uint64
	until     int64 // the first offset that is not wanted; -1 = all are

	entries   []*entry // by offset, from the oldest that is not settled
	next      int      // no entry before it waits
	mark      int64    // the offset that follows the settled prefix; -1 = nothing is settled
	before    ahead    // what an earlier owner has settled
	astray    bool     // the place that was committed is in a topic of the same name that was deleted
	version   int      // counts what is settled
	committed int      // the version that the cluster knows
	waiting   int      // bytes of what waits
	out       int      // handed out and not settled
	paused    bool     // nothing is fetched
	rest      time.Time

	asked    func() bool // the method valid, made once
	yield    chan struct{}
	yielding bool // yield is closed
	revoked  chan struct{}
	over     atomic.Bool // revoked is closed
	idle     chan struct{}
	calm     bool // idle is closed: the lane is given up, and nothing is out, or nobody waits for that any longer
}

// entry is a record of a lane.
type entry struct {
	lane   *lane
	offset int64
	record *kgo.Record // nil once it is settled
	size   int         // of record, see size
	state  state
	back   uint8 // how often it was returned
}

type state uint8

const (
	waits state = iota
	handed
	settled
)

func newLane(r *receiver, partition int32, fence uint64) *lane {
	l := &lane{
		receiver: r, partition: partition, fence: fence, until: r.bound(partition), mark: -1,
		yield: make(chan struct{}), revoked: make(chan struct{}), idle: make(chan struct{}),
	}
	l.asked = l.valid
	return l
}

// add takes what was fetched. What is for other groups, and the marks of transactions, need no settling.
func (l *lane) add(records []*kgo.Record) {
	all := make([]entry, len(records)) // one allocation for all
	l.entries = slices.Grow(l.entries, len(records))
	for i, r := range records {
		e := &all[i]
		e.lane, e.offset = l, r.Offset
		if r.Attrs.IsControl() || l.receiver.foreign(r) || l.before.has(r.Offset) {
			e.state = settled
			l.version++
		} else {
			e.record, e.size = r, size(r)
			l.waiting += e.size
		}
		l.entries = append(l.entries, e)
	}
	l.advance()
}

// size is about what a record takes of this process's memory.
func size(r *kgo.Record) int {
	n := 512 + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 64 + len(h.Key) + len(h.Value)
	}
	return n
}

// span is from the oldest entry to the last one. A lane does not go further ahead of one that is not settled than what
// its place can tell.
func (l *lane) span() int64 {
	if len(l.entries) == 0 {
		return 0
	}
	return l.entries[len(l.entries)-1].offset - l.entries[0].offset
}

// full reports whether nothing more is to be fetched for now.
func (l *lane) full() bool {
	share := max(leastShare, fullBytes/max(len(l.receiver.lanes), 1))
	return l.waiting >= share || l.span() >= maxAhead*8
}

// wants reports whether there is room for more.
func (l *lane) wants() bool { return l.waiting < lowBytes && l.span() < maxAhead*8 && !l.over.Load() }

// take is the next entry to hand out, nil if there is none now.
func (l *lane) take(now time.Time) *entry {
	if l.yielding || l.rest.After(now) {
		return nil
	}
	for ; l.next < len(l.entries); l.next++ {
		e := l.entries[l.next]
		if e.state != waits {
			continue
		}
		if l.beyond(e.record) || e.offset-l.entries[0].offset >= maxAhead*8 {
			return nil
		}
		e.state = handed
		l.next++
		l.out++
		l.waiting -= e.size
		return e
	}
	return nil
}

// beyond reports whether a record is not before the receiver's Until.
func (l *lane) beyond(r *kgo.Record) bool {
	if l.until >= 0 {
		return r.Offset >= l.until
	}
	end := l.receiver.route.Until.Time // it has not come yet, as far as we know
	return !end.IsZero() && !r.Timestamp.Before(end)
}

// land takes the outcome of an entry that is handed out.
func (l *lane) land(e *entry, o transport.Outcome, now time.Time) {
	l.out--
	l.settleDown()
	if l.over.Load() {
		return
	}
	if o == transport.Done {
		e.state, e.record = settled, nil
		l.version++
		l.advance()
		return
	}
	e.state = waits
	l.waiting += e.size
	for i, other := range l.entries {
		if other == e {
			l.next = min(l.next, i)
			break
		}
	}
	if e.back < 7 {
		e.back++
	}
	l.rest = now.Add(firstRest << (e.back - 1))
}

// firstRest is how long a lane rests after a message was returned for the first time. It doubles with each time, up to
// 0.64 s.
const firstRest = 10 * time.Millisecond

// advance forgets the settled prefix.
func (l *lane) advance() {
	n := 0
	for n < len(l.entries) && l.entries[n].state == settled {
		n++
	}
	if n == 0 {
		return
	}
	l.mark = l.entries[n-1].offset + 1
	clear(l.entries[:n])
	l.entries = l.entries[n:]
	l.next = max(l.next-n, 0)
}

// place is what the cluster is to know: the offset from which on not all is settled, and what is settled behind it.
func (l *lane) place() (offset int64, behind ahead) {
	offset = l.mark
	if offset < 0 && len(l.entries) > 0 {
		offset = l.entries[0].offset
	}
	behind.base = offset
	for _, e := range l.entries {
		if e.state == settled {
			behind.add(e.offset)
		}
	}
	return offset, behind
}

// give begins to give the lane up: nothing more is handed out, and idle is closed once nothing is.
func (l *lane) give() {
	if l.yielding {
		return
	}
	l.yielding = true
	close(l.yield)
	l.settleDown()
}

func (l *lane) settleDown() {
	if l.calm || !l.yielding || l.out > 0 && !l.over.Load() {
		return
	}
	l.calm = true
	close(l.idle)
}

// end says that another instance may have the partition.
func (l *lane) end() {
	l.give()
	if !l.over.Swap(true) {
		close(l.revoked)
	}
	l.settleDown()
	l.entries, l.next, l.waiting = nil, 0, 0
}

// valid is asked without the mutex.
func (l *lane) valid() bool {
	return !l.over.Load() && l.receiver.valid()
}

func (l *lane) delivery(e *entry) *transport.Delivery {
	c := l.receiver.route.Channel
	partition := int(l.partition)
	if c.Partitions == 0 {
		partition = -1
	}
	return &transport.Delivery{
		Envelope:  decode(c.Address, e.record),
		Partition: partition,
		Position:  position(l.partition, e.record.Offset),
		Accepted:  e.record.Timestamp,
		Valid:     l.asked,
		Fence:     l.fence,
		Yield:     l.yield,
		Revoked:   l.revoked,
		Settle:    e.settle,
	}
}

// settle ends a delivery; a second time it does nothing.
func (e *entry) settle(o transport.Outcome) { e.lane.receiver.settle(e, o) }
