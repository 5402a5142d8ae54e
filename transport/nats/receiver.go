package nats

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// receiver runs one Receive. Everything below mu belongs to its loop, which is one goroutine: the connection and those
// who settle only leave a note and wake it.
type receiver struct {
	b        *Broker
	stream   string
	consumer string // the group's; of a reader, made anew with each opening
	filters  []string
	from     transport.Position
	until    transport.Position
	reader   bool    // leaves nothing behind, acknowledges nothing
	own      *tenure // of the one partition that it is for; nil = all of the channel, beside other receivers of the group
	window   *window
	parts    *atomic.Int64 // partitions that share the window; nil = it is not shared
	ready    func()        // nil once called
	take     func(*entry)
	restore  func(context.Context) (*jetstream.StreamInfo, error) // makes the stream if it is gone
	sweep    *sweep                                               // of a Queue; nil = nothing is to be removed

	wake    chan struct{} // capacity 1; who kicks before run has begun makes it
	mu      sync.Mutex
	arrived []*natsio.Msg
	settled []*entry
	many    atomic.Int32 // so many of settled are acknowledged at once
	soon    *time.Timer  // kicks when fewer have waited long enough

	sub     *natsio.Subscription // what was asked for comes here
	live    *natsio.Subscription // others of the group ask here
	opened  bool                 // it was open on this stream
	created time.Time            // when the stream was
	retry   <-chan time.Time     // when to try to open again; nil = it is open
	drained chan struct{}        // closed when sub gives nothing more; nil before it is drained and after that is seen
	dry     bool                 // sub gives nothing more
	retired int                  // attempts to be rid of sub, which was of a lost connection

	waiting   []*entry          // fetched and not handed out, in order
	hand      map[uint64]*entry // by sequence: all that is fetched and not settled
	unwritten []*entry          // done, and the server does not know yet
	unsettled int               // handed out and not settled
	asked     int               // messages that the server has been asked for
	heard     time.Time         // when it was last asked, or answered
	last      uint64            // sequence of the newest message that came
	first     uint64            // if own: of the oldest that came here; see settledHere. 0 = none has come
	spoken    string            // where the server was last told something about a message
	look      bool              // whether until is reached
	ended     bool              // it is
	next      uint64            // which of the consumer's deliveries comes next, if own; 0 = some went elsewhere
	pause     <-chan time.Time  // until then nothing is handed out; nil = it may be
	late      bool              // what is unsettled is not waited for
}

const (
	pullExpires = 30 * time.Second
	idleBeat    = 3 * time.Second // how often the server says that a request of it still waits
	missedBeats = 3               // after which the request is lost, or the consumer is
	retryAfter  = 250 * time.Millisecond
	// ownedExpires is how long a request for a partition waits: when a Broker that has gone silent loses its partitions,
	// the server must have forgotten its requests.
	ownedExpires = 5 * time.Second
	ownedFetch   = 8                     // messages of a partition that may be fetched however small the credit is
	returnPause  = 20 * time.Millisecond // before what was returned comes again, and what is behind it in its partition
	// gatherAcks is how long what is done waits for others to be acknowledged together, unless they are a quarter of what
	// may be here: who writes singly wakes up the server for each.
	gatherAcks = 5 * time.Millisecond
)

// run receives until ctx is done, the Broker is closed or until is reached, and everything that was handed out is
// settled. It may be run again once it has returned.
func (r *receiver) run(ctx context.Context) error {
	r.hand = make(map[uint64]*entry)
	if r.wake == nil {
		r.wake = make(chan struct{}, 1)
	}
	r.soon = time.AfterFunc(gatherAcks, r.kick)
	defer r.soon.Stop()
	defer r.release()
	defer r.sweep.start()()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	closing, done, revoked := r.b.closing, ctx.Done(), r.own.revocation()
	reconnected := r.b.reconnection()
	lost, stop := true, false
	for {
		stop = stop || r.ended
		if stop && r.wound() {
			return nil
		}
		if !stop && lost {
			r.sort()        // what came before; the rest is asked for anew
			r.acknowledge() // what could not be written while there was no connection
			if err := r.open(ctx); err != nil {
				return err
			}
		}
		_, changed := r.window.credit.Now() // before it is looked at, so that no change is missed
		if !stop && r.retry == nil {
			r.reach(ctx)
			r.work()
			if r.ready != nil {
				r.ready()
				r.ready = nil
			}
		}
		lost = false
		select {
		case <-r.wake:
			lost = r.sort()
			r.acknowledge()
		case <-changed:
		case <-tick.C:
			r.progress()
		case <-reconnected:
			reconnected = r.b.reconnection()
			lost = true
		case <-r.retry:
			lost = true
		case <-r.pause:
			r.pause = nil
		case <-r.drained:
			r.drained, r.dry = nil, true
		case <-done:
			done, stop = nil, true
		case <-closing:
			closing, stop = nil, true
		case <-revoked:
			if r.own.lost {
				return nil
			}
			revoked, stop, r.late = nil, true, true
		case err := <-r.sweep.refusal():
			return err
		case <-r.b.dead:
			return fmt.Errorf("%w: %d deliveries were not settled", transport.ErrClosed, r.unsettled)
		}
	}
}

// kick wakes the loop.
func (r *receiver) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// sort takes what has arrived, and reports whether the consumer is lost.
func (r *receiver) sort() (lost bool) {
	r.mu.Lock()
	arrived := r.arrived
	r.arrived = nil
	r.mu.Unlock()
	for _, m := range arrived {
		if m.Sub != r.sub { // of a consumer that was replaced
			continue
		}
		if status := m.Header.Get("Status"); status != "" && len(m.Data) == 0 {
			lost = r.told(status, m) || lost
			continue
		}
		meta, err := m.Metadata()
		if err != nil { // not from a consumer: somebody guessed the inbox
			continue
		}
		if r.own != nil && r.torn(meta) {
			continue
		}
		r.asked = max(r.asked-1, 0)
		r.heard = time.Now()
		r.look = r.look || meta.NumPending == 0
		seq := meta.Sequence.Stream
		if e := r.hand[seq]; e != nil { // the server has lost patience or its memory; this is how it knows it now
			e.msg.Reply = m.Reply
			continue
		}
		e := &entry{receiver: r, msg: m, meta: meta, created: r.created}
		switch {
		case r.reader && seq <= r.last:
		case r.settledHere(seq):
			r.unwritten = append(r.unwritten, e)
		default:
			r.queue(e)
		}
	}
	return lost
}

// settledHere reports whether a message of a partition that is not in hand was settled by this owner. Nothing else may be
// acknowledged unseen. An owner begins with nothing on its way, or behind the floor, and takes no delivery behind a gap:
// so all of the partition from the first to the last that came here came here.
func (r *receiver) settledHere(sequence uint64) bool {
	return r.own != nil && r.first > 0 && r.first <= sequence && sequence <= r.last
}

// queue puts what came behind what waits; what an owner gets late, in its place.
func (r *receiver) queue(e *entry) {
	seq := e.sequence()
	r.hand[seq] = e
	if r.own != nil && seq < r.last {
		r.place(e)
		return
	}
	if r.first == 0 {
		r.first = seq
	}
	r.last = max(r.last, seq)
	r.waiting = append(r.waiting, e)
}

// place puts an entry where it belongs among what waits.
func (r *receiver) place(e *entry) {
	i, _ := slices.BinarySearchFunc(r.waiting, e, bySequence)
	r.waiting = slices.Insert(r.waiting, i, e)
}

// told takes what the server says instead of a message, and reports whether it has no such consumer.
func (r *receiver) told(status string, m *natsio.Msg) (lost bool) {
	r.heard = time.Now()
	switch status {
	case "100":
		return false
	case "503":
		return true
	}
	var rest int
	if _, err := fmt.Sscan(m.Header.Get("Nats-Pending-Messages"), &rest); err != nil {
		rest = r.asked
	}
	r.asked = max(r.asked-rest, 0)
	return status == "409" && m.Header.Get("Description") == "Consumer Deleted"
}

// work hands out what the credit allows and asks for as much as it leaves.
func (r *receiver) work() {
	for len(r.waiting) > 0 && r.pause == nil && (r.own == nil || r.own.valid()) {
		e := r.waiting[0]
		if r.beyond(e) {
			if r.own == nil { // else the share looks at all partitions
				r.ended = true
				r.kick()
			}
			return
		}
		if !r.window.take(r) {
			break
		}
		r.waiting = r.waiting[1:]
		r.unsettled++
		r.take(e)
		if r.own != nil && e.over.Load() { // returned, perhaps: then nothing newer is handed out before it
			r.acknowledge()
		}
	}
	if r.asked > 0 && time.Since(r.heard) > missedBeats*idleBeat {
		r.asked, r.retry = 0, time.After(0)
		return
	}
	if r.own != nil && !r.own.valid() { // what came would be missed by whoever has the partition now
		return
	}
	n := r.fetch()
	r.many.Store(int32(n / 4))
	free := n - r.unsettled - len(r.waiting) - r.asked
	if free < 1 || r.asked > 0 && free < n/2 {
		return
	}
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, free, pullExpires, idleBeat)
	if r.own != nil {
		request = fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, free, ownedExpires)
	}
	if r.b.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+r.stream+"."+r.consumer, r.sub.Subject, request) == nil {
		r.asked += free
		r.heard = time.Now()
	} // else the connection is lost, and the reconnection will be noticed
}

// acknowledge tells the server about what was settled.
func (r *receiver) acknowledge() {
	r.mu.Lock()
	settled := r.settled
	r.settled = nil
	r.mu.Unlock()
	for _, e := range settled {
		r.unsettled--
		if !e.created.Equal(r.created) { // nobody knows it any longer
			continue
		}
		delete(r.hand, e.sequence())
		switch {
		case r.keeps() && e.outcome != transport.Done:
			r.again(e)
		case r.reader:
		case e.outcome == transport.Done:
			r.unwritten = append(r.unwritten, e)
		case e.outcome == later:
			r.say(e, returnedAfter(moverPause))
		default:
			r.say(e, returnedAfter(returnPause))
		}
	}
	for len(r.unwritten) > 0 {
		r.sweep.note(r.unwritten[0])
		if !r.say(r.unwritten[0], "") {
			break
		}
		r.unwritten = r.unwritten[1:]
	}
	r.look = r.look || len(settled) > 0 && len(r.hand) == 0
}

// keeps reports whether what is returned stays here: nobody else may have it.
func (r *receiver) keeps() bool { return r.reader || r.own != nil }

// again puts a returned entry back in its place.
func (r *receiver) again(e *entry) {
	n := &entry{receiver: r, msg: e.msg, meta: e.meta, created: e.created}
	r.hand[n.sequence()] = n
	r.place(n)
	r.pause = time.After(returnPause)
}

// torn reports whether some of the consumer's deliveries went elsewhere: to a former owner of the partition, or over a
// connection that is lost. Then the consumer is reset, in a while.
func (r *receiver) torn(meta *natsio.MsgMetadata) bool {
	if meta.Sequence.Consumer == r.next {
		r.next++
		return false
	}
	r.next = 0
	if r.retry == nil {
		r.retry = time.After(retryAfter)
	}
	return true
}

// fetch is how many messages may be here and on their way.
func (r *receiver) fetch() int {
	n := r.window.limit()
	if r.parts == nil || n == 0 {
		return n
	}
	return max(min(n, 2*n/max(int(r.parts.Load()), 1)), ownedFetch)
}

// returned lets the server deliver a message again at once; if it cannot be told, it does that after AckWait.
const returned = "-NAK"

func returnedAfter(d time.Duration) string { return fmt.Sprintf(`%s {"delay":%d}`, returned, d) }

// say tells the server something about an entry, "" = it is done, and reports whether it could be written.
func (r *receiver) say(e *entry, what string) bool {
	r.spoken = e.msg.Reply
	return r.b.nc.Publish(e.msg.Reply, []byte(what)) == nil
}

// progress keeps everything in hand alive at the server.
func (r *receiver) progress() {
	r.look = true
	if r.reader {
		return
	}
	for _, e := range r.hand {
		if !r.say(e, "+WPI") {
			return
		}
	}
}
