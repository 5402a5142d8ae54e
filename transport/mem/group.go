package mem

import (
	"cmp"
	"slices"
	"time"

	"github.com/parley-io/parley/transport"
)

// group shares the messages of a channel among its members. Each partition is a lane with one owner; an unordered
// channel is a single lane that all members share.
type group struct {
	channel *channel
	name    string
	lanes   []*lane
	members []*receiver // by age, without those that are leaving
	flights []*flight   // what is delivered and not settled
}

// lane is what waits for a group in one partition, by sequence.
type lane struct {
	channel  *channel
	waiting  fifo[*message]
	returned []*message    // delivered before and given back, the oldest last; all older than waiting
	out      int           // delivered and not settled
	shared   bool          // no owner
	owner    *receiver     // who gets its messages; nil = nobody
	heir     *receiver     // who shall own it: the owner, or another once nothing is out
	fence    uint64        // how many owners it had
	yield    chan struct{} // of the owner; closed while another is the heir
	yielding bool          // it is closed
	resting  *time.Timer   // nothing is delivered until it fires; nil = no rest
}

func newGroup(c *channel, name string) *group {
	g := &group{channel: c, name: name, lanes: make([]*lane, max(c.form.Partitions, 1))}
	for i := range g.lanes {
		g.lanes[i] = &lane{channel: c, shared: c.form.Partitions == 0}
	}
	return g
}

// reader reports whether g is a reader of its own on a Stream, which leaves nothing behind.
func (g *group) reader() bool { return g.name == "" && g.channel.form.Pattern == transport.Stream }

func (g *group) lane(m *message) *lane { return g.lanes[max(m.partition, 0)] }

// push appends a message to its lane and wakes who may have it.
func (g *group) push(m *message) {
	l := g.lane(m)
	l.waiting.push(m)
	g.wake(l)
}

// wake wakes those to whom a lane's messages go.
func (g *group) wake(l *lane) {
	if !l.shared {
		if l.owner != nil {
			l.owner.kick()
		}
		return
	}
	for _, r := range g.members {
		r.kick()
	}
}

// next takes the oldest message that waits for r, so that a single member gets a channel in its order.
func (g *group) next(r *receiver) *flight {
	var best *lane
	var oldest *message
	for _, l := range g.lanes {
		if !l.shared && (l.owner != r || l.heir != r || l.resting != nil) {
			continue
		}
		if m := l.head(); m != nil && !r.until.ends(m) && (best == nil || m.sequence < oldest.sequence) {
			best, oldest = l, m
		}
	}
	if best == nil {
		return nil
	}
	best.take()
	best.out++
	f := &flight{
		message: oldest, lane: best, receiver: r, index: len(g.flights),
		tenure: r.tenure, fence: best.fence, yield: best.yield,
	}
	g.flights = append(g.flights, f)
	r.unsettled++
	return f
}

// land ends a flight: its message is handled, or waits again in its place.
func (g *group) land(f *flight, o transport.Outcome) {
	last := len(g.flights) - 1
	g.flights[f.index] = g.flights[last]
	g.flights[f.index].index = f.index
	g.flights[last] = nil
	g.flights = g.flights[:last]
	f.index = landed
	f.lane.out--
	f.receiver.unsettled--
	f.receiver.kick()
	if o == transport.Done {
		g.channel.release(f.message)
	} else {
		f.lane.giveBack(f.message)
		g.rest(f.lane)
	}
	if f.lane.out == 0 {
		f.lane.rested()
	}
	g.handOver(f.lane)
	if o != transport.Done {
		g.wake(f.lane)
	}
}

// share gives each member its part of the lanes: as many as another, give or take one, and the same as before where
// that is possible. A lane changes its owner once nothing of it is out.
func (g *group) share() {
	if g.lanes[0].shared {
		return
	}
	least, more := 0, 0 // each gets least lanes, and this many get one more
	if n := len(g.members); n > 0 {
		least, more = len(g.lanes)/n, len(g.lanes)%n
	}
	has := make(map[*receiver]int, len(g.members))
	for _, l := range g.lanes {
		switch {
		case l.heir != nil && slices.Contains(g.members, l.heir) && has[l.heir] < least:
			has[l.heir]++
		case l.heir != nil && slices.Contains(g.members, l.heir) && has[l.heir] == least && more > 0:
			has[l.heir]++
			more--
		default:
			l.heir = nil
		}
	}
	for _, l := range g.lanes {
		if l.heir == nil && len(g.members) > 0 {
			l.heir = slices.MinFunc(g.members, func(a, b *receiver) int { return cmp.Compare(has[a], has[b]) })
			has[l.heir]++
		}
		g.handOver(l)
		g.ask(l)
		g.wake(l) // an owner that keeps what it was to give away goes on with it
	}
}

// handOver makes the heir of a lane its owner if it may be.
func (g *group) handOver(l *lane) {
	if l.shared || l.out > 0 || l.owner == l.heir {
		return
	}
	l.owner = l.heir
	l.yield, l.yielding = make(chan struct{}), false
	if l.owner != nil {
		l.fence++
		l.owner.kick()
	}
}

// ask makes the owner of a lane yield while another shall have it. One that keeps it after all goes on after a rest.
func (g *group) ask(l *lane) {
	leaves := l.owner != nil && l.owner != l.heir
	switch {
	case leaves && !l.yielding:
		close(l.yield)
		l.yielding = true
	case !leaves && l.yielding:
		l.yield, l.yielding = make(chan struct{}), false
		g.rest(l)
	}
}

// restFor is how long the deliveries of a lane rest: who gives back one message may be about to give back more.
const restFor = 10 * time.Millisecond

// rest delivers nothing of a lane with an owner for a moment, or until nothing of it is out: what is given back one after
// the other comes again before anything newer.
func (g *group) rest(l *lane) {
	if l.shared || l.out == 0 || l.resting != nil {
		return
	}
	l.resting = time.AfterFunc(restFor, func() {
		mu := &g.channel.fabric.mu
		mu.Lock()
		defer mu.Unlock()
		l.resting = nil
		g.wake(l)
	})
}

// rested ends the rest of a lane.
func (l *lane) rested() {
	if l.resting != nil && l.resting.Stop() {
		l.resting = nil
	}
}

// backlog is how many messages the group has not settled, and when the oldest was accepted.
func (g *group) backlog() (waiting int64, oldest time.Time) {
	note := func(m *message) {
		if oldest.IsZero() || m.accepted.Before(oldest) {
			oldest = m.accepted
		}
	}
	for _, f := range g.flights {
		note(f.message)
	}
	waiting = int64(len(g.flights))
	for _, l := range g.lanes {
		if m := l.head(); m != nil {
			note(m)
		}
		waiting += int64(len(l.returned) + l.waiting.len())
	}
	return waiting, oldest
}

// drop forgets all that waits.
func (g *group) drop() {
	for _, l := range g.lanes {
		for l.head() != nil {
			g.channel.release(l.take())
		}
	}
}

// head is the oldest message that waits in l, or nil. What retention has ended for is forgotten on the way.
func (l *lane) head() *message {
	for {
		m := l.peek()
		if m == nil || !l.channel.gone(m) {
			return m
		}
		l.channel.release(l.take())
	}
}

func (l *lane) peek() *message {
	if n := len(l.returned); n > 0 {
		return l.returned[n-1]
	}
	if l.waiting.len() > 0 {
		return l.waiting.all()[0]
	}
	return nil
}

// take removes what peek shows.
func (l *lane) take() *message {
	if n := len(l.returned); n > 0 {
		m := l.returned[n-1]
		l.returned[n-1] = nil
		l.returned = l.returned[:n-1]
		return m
	}
	return l.waiting.pop()
}

// giveBack puts a message that was delivered before in its place.
func (l *lane) giveBack(m *message) {
	i, _ := slices.BinarySearchFunc(l.returned, m.sequence, func(r *message, n uint64) int { return cmp.Compare(n, r.sequence) })
	l.returned = slices.Insert(l.returned, i, m)
}
