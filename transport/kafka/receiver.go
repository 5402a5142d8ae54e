package kafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// receiver runs one Receive. Its loop hands out; a second goroutine fetches; a third one commits; a fourth one sees to it
// that we are a member, and the topic is still there; and the client calls back when partitions come and go.
type receiver struct {
	b      *Broker
	route  transport.Route
	topic  string
	group  string // the consumer group; "" = a reader
	credit *transport.Credit
	take   func(*transport.Delivery)
	lease  lease
	bounds map[int32]int64    // of Until, by partition; nil = not known yet, or there is none
	from   transport.Position // where a group that is new, or a reader, begins

	wake   chan struct{} // capacity 1: the loop has something to do
	dirty  chan struct{} // capacity 1: there is something to commit
	hungry chan struct{} // capacity 1: there is room for more
	doubt  chan struct{} // capacity 1: doubtful is set
	joined chan struct{} // closed when the group has taken us in
	broken chan struct{} // closed when failure is set

	committing sync.Mutex // held while committing, so that one comes after the other

	gate sync.Mutex // held while fetching, and while lanes come and go: what was fetched for a lane never gets into its successor

	mu         sync.Mutex         // guards what follows, and the lanes
	client     *kgo.Client        // of fetch, which alone changes it
	cut        context.CancelFunc // ends what client waits for; of fetch
	id         kadm.TopicID       // of the topic that client reads; zero before the first one
	renewing   bool               // client is to be changed
	doubtful   bool               // the topic may have been deleted, or the group removed; nothing is committed
	lanes      []*lane
	first      int // the lane that is next to hand out
	member     string
	generation int32 // of our membership; -1 = none
	outdated   int32 // a generation that the cluster did not know any longer; 0 = none
	unsettled  int
	stopping   bool
	changing   int // who wait for gate to change the lanes
	interrupt  context.CancelFunc
	failure    error
}

func newReceiver(b *Broker, route transport.Route, take func(*transport.Delivery)) *receiver {
	r := &receiver{
		b: b, route: route, topic: b.names.topic(route.Channel.Address), from: route.From, credit: route.Credit, take: take, generation: -1,
		wake: make(chan struct{}, 1), dirty: make(chan struct{}, 1), hungry: make(chan struct{}, 1), doubt: make(chan struct{}, 1),
		joined: make(chan struct{}), broken: make(chan struct{}),
	}
	if route.Group != "" || route.Channel.Pattern == transport.Queue {
		r.group, r.from = b.names.group(route.Channel, route.Group), route.Origin()
	}
	if r.credit == nil {
		r.credit = transport.NewCredit(defaultCredit)
	}
	return r
}

// reader reports whether r leaves nothing behind.
func (r *receiver) reader() bool { return r.group == "" }

// foreign reports whether a record is for another group.
func (r *receiver) foreign(record *kgo.Record) bool {
	if r.route.Channel.Pattern == transport.Queue {
		return false
	}
	to := recipient(record)
	return to != "" && to != r.route.Group
}

// run receives until ctx is done, the Broker is closed, or everything before Until is settled; and then until all that
// was handed out is.
func (r *receiver) run(ctx context.Context) error {
	life, cancel := context.WithCancel(context.Background())
	defer cancel()
	var helpers sync.WaitGroup
	helpers.Go(func() { r.fetch(life) })
	if !r.reader() {
		helpers.Go(func() { r.keepBeating(life) })
		helpers.Go(func() { r.keepCommitting(life) })
	}
	err := r.loop(ctx)
	r.abandon()
	cancel()
	helpers.Wait()
	if !r.reader() {
		r.insist(nil)
	}
	r.leave()
	return err
}

func (r *receiver) loop(ctx context.Context) error {
	joined, done, closing := r.joined, ctx.Done(), r.b.closing
	if r.reader() {
		joined = nil
		r.ready()
	}
	var look <-chan time.Time // whether Until is reached
	if !r.route.Until.IsZero() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		look = tick.C
		if r.reached(ctx) {
			r.stop()
		}
	}
	for {
		_, changed := r.credit.Now() // before it is looked at, so that no change is missed
		again, over := r.handOut()
		if over {
			return r.ended()
		}
		select {
		case <-r.wake:
		case <-changed:
		case <-again:
		case <-joined:
			joined = nil
			r.ready()
		case <-look:
			if r.reached(ctx) {
				r.stop()
			}
		case <-done:
			done, look = nil, nil
			r.stop()
		case <-closing:
			closing, look = nil, nil
			r.stop()
		case <-r.broken:
			return r.ended()
		case <-r.b.dead:
			r.mu.Lock()
			defer r.mu.Unlock()
			return fmt.Errorf("%w: %d deliveries were not settled", transport.ErrClosed, r.unsettled)
		}
	}
}

func (r *receiver) ready() {
	if r.route.Ready != nil {
		r.route.Ready()
	}
}

// stop lets nothing more be handed out. What runs stays ours until it is settled.
func (r *receiver) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
	for _, l := range r.lanes {
		l.give()
	}
}

func (r *receiver) ended() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// fail ends the receiver with an error.
func (r *receiver) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		r.failure = err
		close(r.broken)
	}
}

// handOut gives out what the credit allows. It says when a resting lane goes on, and whether all is over.
func (r *receiver) handOut() (again <-chan time.Time, over bool) {
	var batch []*entry
	for {
		var rest time.Duration
		batch, rest, over = r.pick(batch[:0])
		for _, e := range batch {
			r.take(e.lane.delivery(e))
		}
		if len(batch) == 0 {
			if rest > 0 {
				again = time.After(rest)
			}
			return again, over
		}
	}
}

// pick adds to batch what is to be handed out: one of each lane at the most, so that what is given back while it is
// taken comes before what follows it. A lane has at most half of the credit if the others could have some of the rest,
// so that one whose handlers hang does not stop them. Nothing is handed out while another instance may have it: the
// cluster gives whoever asks what is stored, also a process that it has expelled while that was frozen, which finds that
// before it learns of its end.
func (r *receiver) pick(batch []*entry) (_ []*entry, rest time.Duration, over bool) {
	credit, _ := r.credit.Now()
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return batch, 0, r.unsettled == 0
	}
	if !r.valid() {
		return batch, 0, false // beaten wakes the loop
	}
	most := credit
	if n := len(r.lanes); n > 1 && credit >= 2*n {
		most = credit / 2
	}
	for i := range r.lanes {
		l := r.lanes[(r.first+i)%len(r.lanes)]
		if r.unsettled >= credit {
			r.first = (r.first + i) % len(r.lanes)
			break
		}
		if l.out >= most {
			continue
		}
		if e := l.take(now); e != nil {
			batch = append(batch, e)
			r.unsettled++
		} else if d := l.rest.Sub(now); d > 0 && !l.yielding && (rest == 0 || d < rest) {
			rest = d
		}
	}
	if len(batch) > 0 {
		r.feed()
	}
	return batch, rest, false
}

// settle takes the outcome of a delivery.
func (r *receiver) settle(e *entry, o transport.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.state != handed {
		return
	}
	l := e.lane
	e.state = settled
	l.land(e, o, time.Now())
	r.unsettled--
	if l.paused { // the oldest may have held it up
		r.feed()
	}
	if l.version != l.committed {
		poke(r.dirty)
	}
	poke(r.wake)
}

func (r *receiver) lane(partition int32) *lane {
	i := slices.IndexFunc(r.lanes, func(l *lane) bool { return l.partition == partition })
	if i < 0 {
		return nil
	}
	return r.lanes[i]
}

// abandon ends the lanes when Receive does.
func (r *receiver) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
	if r.unsettled == 0 && r.failure == nil {
		return // run commits the rest
	}
	for _, l := range r.lanes {
		l.end()
	}
}

// poke wakes who waits for c, which has capacity 1.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
