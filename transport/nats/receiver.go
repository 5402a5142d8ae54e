package nats

import (
	"context"
	"fmt"
	"slices"
	"sync"
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
	reader   bool // leaves nothing behind, acknowledges nothing
	credit   *transport.Credit
	ready    func() // nil once called
	take     func(*entry)
	restore  func(context.Context) (*jetstream.StreamInfo, error) // makes the stream if it is gone

	wake    chan struct{} // capacity 1
	mu      sync.Mutex
	arrived []*natsio.Msg
	settled []*entry

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
	spoken    string            // where the server was last told something about a message
	look      bool              // whether until is reached
	ended     bool              // it is
}

const (
	pullExpires = 30 * time.Second
	idleBeat    = 3 * time.Second // how often the server says that a request of it still waits
	missedBeats = 3               // after which the request is lost, or the consumer is
	retryAfter  = 250 * time.Millisecond
)

// run receives until ctx is done, the Broker is closed or until is reached, and everything that was handed out is
// settled. It may be run again once it has returned.
func (r *receiver) run(ctx context.Context) error {
	r.wake, r.hand = make(chan struct{}, 1), make(map[uint64]*entry)
	defer r.release()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	closing, done := r.b.closing, ctx.Done()
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
		if !stop && r.retry == nil {
			r.reach(ctx)
			r.work()
			if r.ready != nil {
				r.ready()
				r.ready = nil
			}
		}
		_, changed := r.credit.Now()
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
		case <-r.drained:
			r.drained, r.dry = nil, true
		case <-done:
			done, stop = nil, true
		case <-closing:
			closing, stop = nil, true
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
		r.asked = max(r.asked-1, 0)
		r.heard = time.Now()
		r.look = r.look || meta.NumPending == 0
		seq := meta.Sequence.Stream
		if e := r.hand[seq]; e != nil { // the server has lost patience or its memory; this is how it knows it now
			e.msg.Reply = m.Reply
			continue
		}
		if r.reader && seq <= r.last {
			continue
		}
		r.last = max(r.last, seq)
		e := &entry{receiver: r, msg: m, meta: meta, created: r.created}
		r.hand[seq] = e
		r.waiting = append(r.waiting, e)
	}
	return lost
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
	n, _ := r.credit.Now()
	n = min(n, MaxCredit)
	for r.unsettled < n && len(r.waiting) > 0 {
		e := r.waiting[0]
		if r.beyond(e) {
			r.ended = true
			r.kick()
			return
		}
		r.waiting = r.waiting[1:]
		r.unsettled++
		r.take(e)
	}
	if r.asked > 0 && time.Since(r.heard) > missedBeats*idleBeat {
		r.asked, r.retry = 0, time.After(0)
		return
	}
	free := n - r.unsettled - len(r.waiting) - r.asked
	if free < 1 || r.asked > 0 && free < n/2 {
		return
	}
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, free, pullExpires, idleBeat)
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
	back := false
	for _, e := range settled {
		r.unsettled--
		if !e.created.Equal(r.created) { // nobody knows it any longer
			continue
		}
		delete(r.hand, e.sequence())
		switch {
		case r.reader && e.outcome != transport.Done:
			again := &entry{receiver: r, msg: e.msg, meta: e.meta, created: e.created}
			r.hand[e.sequence()] = again
			r.waiting = slices.Insert(r.waiting, 0, again)
		case r.reader:
		case e.outcome == transport.Done:
			r.unwritten = append(r.unwritten, e)
		case e.outcome == later:
			r.say(e, returnedAfter(moverPause))
		default:
			back = r.say(e, returned) || back
		}
	}
	for len(r.unwritten) > 0 && r.say(r.unwritten[0], "") {
		r.unwritten = r.unwritten[1:]
	}
	if back { // before more is asked for, which could be something newer
		r.heardOut()
	}
	r.look = r.look || len(settled) > 0 && len(r.hand) == 0
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

// wound winds the receiver up: nothing new is handed out, what waits goes back. It reports whether all is done.
func (r *receiver) wound() bool {
	if r.sub == nil {
		return true
	}
	if r.drained == nil && !r.dry {
		r.drain()
	}
	if !r.dry {
		return false
	}
	if len(r.waiting) > 0 && !r.reader {
		r.forgetRequests()
	}
	for _, e := range r.waiting {
		delete(r.hand, e.sequence())
		if !r.reader {
			r.say(e, returned)
		}
	}
	r.waiting = nil
	return r.unsettled == 0
}

// forgetRequests makes the server drop requests that nobody waits for any longer, which it does before it tells about
// a consumer. Otherwise it would take the first message that comes back for such a request, and put it behind the others.
func (r *receiver) forgetRequests() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = r.b.js.Consumer(ctx, r.stream, r.consumer) // else the order of what comes back suffers, no more
}

// drain takes what is on the way, so that it can be given back and need not wait for AckWait.
func (r *receiver) drain() {
	drained := make(chan struct{})
	r.sub.SetClosedHandler(func(string) { close(drained) })
	// One that was closed already, when opening another in its place failed, takes the order to drain, and tells nobody.
	if !r.sub.IsValid() || !r.b.nc.IsConnected() || r.sub.Drain() != nil {
		_ = r.sub.Unsubscribe() // closed already is fine
		r.dry = true
		return
	}
	r.drained = drained
}

// release frees what the receiver has on the connection and waits until the server knows its last word.
func (r *receiver) release() {
	r.b.leave(r)
	if r.sub == nil {
		return
	}
	_ = r.sub.Unsubscribe() // after a drain it is closed
	select {
	case <-r.b.dead:
		return
	default:
	}
	if !r.reader {
		r.heardOut()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.b.js.DeleteConsumer(ctx, r.stream, r.consumer) // else it ends by itself after readerIdle
}

// heardOut waits until the server has taken in all that it was told about messages: it takes that in beside everything
// else, but in order. Without a connection it does not wait; what was lost then comes again.
func (r *receiver) heardOut() {
	if r.spoken == "" || !r.b.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = r.b.nc.RequestWithContext(ctx, r.spoken, []byte("+WPI"))
}
