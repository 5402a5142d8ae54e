package transporttest

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// hands keep the deliveries of a Receive until they are told to settle them. Safe for concurrent use.
type hands struct {
	log   *account // nil = what comes is noted elsewhere
	group string

	mu   sync.Mutex
	open bool // what comes is settled at once
	hold []*transport.Delivery
	most int // that were held at once
}

func newHands(log *account, group string) *hands { return &hands{log: log, group: group} }

func (h *hands) take(d *transport.Delivery) {
	h.mu.Lock()
	open := h.open
	if !open {
		h.hold = append(h.hold, d)
		h.most = max(h.most, len(h.hold))
	}
	h.mu.Unlock()
	if h.log != nil {
		h.log.took(h.group, d.Envelope) // who waits for it looks at what is held
	}
	if open {
		d.Settle(transport.Done)
	}
}

func (h *hands) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.hold)
}

func (h *hands) peak() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.most
}

// settle settles the n oldest, or all if there are fewer.
func (h *hands) settle(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = min(n, len(h.hold))
	for _, d := range h.hold[:n] {
		d.Settle(transport.Done)
	}
	h.hold = slices.Delete(h.hold, 0, n)
}

// slowly settles some deliveries a second until ctx is done.
func (h *hands) slowly(ctx context.Context, perSecond int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			h.settle(1)
		case <-ctx.Done():
			return
		}
	}
}

// release settles all, and from now on what comes.
func (h *hands) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = true
	for _, d := range h.hold {
		d.Settle(transport.Done)
	}
	h.hold = nil
}

// fill waits until n are held, and for a while longer to see that it remains so.
func (h *hands) fill(ctx context.Context, s *Scene, n int, when string) {
	const rest = 300 * time.Millisecond
	h.log.until(ctx, func() bool { return h.count() >= n })
	time.Sleep(rest)
	if got := h.count(); got != n {
		s.Fatalf("%s: got %d unsettled deliveries; want %d", when, got, n)
	}
}

// kept wants none of what is held revoked.
func (h *hands) kept(s *Scene, when string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.hold {
		if closed(d.Yield) || closed(d.Revoked) {
			s.Errorf("%s: delivery %s of partition %d is to be given up; want it left alone", when, d.Envelope.ID, d.Partition)
		}
	}
}

func creditChanges(ctx context.Context, s *Scene, site Site) {
	b := site.Connect(ctx, s)
	var all sync.WaitGroup
	for _, partitions := range []int{0, 4} {
		all.Go(func() { s.creditChanges(ctx, b, s.channel(ctx, b, transport.Queue, partitions)) })
	}
	all.Wait()
}

func (s *Scene) creditChanges(ctx context.Context, b transport.Broker, c transport.Channel) {
	log, credit := newAccount(), transport.NewCredit(2)
	h := newHands(log, "")
	log.mustSend(ctx, s, b, messages(c, "m", 20, 200)...)
	s.receive(ctx, b, transport.Route{Channel: c, Credit: credit}, h.take)
	h.fill(ctx, s, 2, "a credit of 2")
	credit.Set(20)
	h.fill(ctx, s, 20, "a credit raised to 20")
	credit.Set(5)
	h.settle(12)
	h.fill(ctx, s, 8, "a credit lowered to 5 while 20 were unsettled, 12 of which were settled then")
	h.settle(5)
	h.fill(ctx, s, 5, "a credit of 5 after some more were settled")
	credit.Set(0)
	h.settle(5)
	h.fill(ctx, s, 0, "a credit of 0")
	credit.Set(7)
	h.fill(ctx, s, 7, "a credit of 7 after a pause")
	const flips = 40 // so that one comes while the receiver still considers the last
	for range flips {
		credit.Set(0)
		h.settle(10)
		credit.Set(1)
		h.log.until(ctx, func() bool { return h.count() > 0 })
	}
	if ctx.Err() != nil {
		s.Fatalf("a credit that went to 0 and back to 1 quickly: got no delivery any more; want one")
	}
	h.kept(s, "a credit that was changed five times")
	credit.Set(100)
	h.release()
	log.settled(ctx, "")
	log.empty(ctx, s, b, c, "")
	log.verify(s, "", faults{Unordered: c.Partitions == 0})
}

func slowBesideQuick(ctx context.Context, s *Scene, site Site) {
	log, slowLog, b, sender := newAccount(), newAccount(), site.Connect(ctx, s), site.Connect(ctx, s)
	slowQueue, quickQueue, lanes := s.channel(ctx, b, transport.Queue, 0), s.channel(ctx, b, transport.Queue, 0), s.channel(ctx, b, transport.Queue, 4)
	topic := s.channel(ctx, b, transport.Topic, 0)
	s.declare(ctx, sender, slowQueue, quickQueue, lanes, topic)
	const credit, behind = 16, 500
	stuck := newHands(slowLog, "")
	stuckToo := newHands(newAccount(), "slow")
	routes := []struct {
		route transport.Route
		take  func(*transport.Delivery)
	}{
		{transport.Route{Channel: slowQueue, Credit: transport.NewCredit(credit)}, stuck.take},
		{transport.Route{Channel: topic, Group: "slow", Credit: transport.NewCredit(credit)}, stuckToo.take},
		{transport.Route{Channel: topic, Group: "quick"}, log.take("quick")},
		{transport.Route{Channel: quickQueue}, log.take("")},
		{transport.Route{Channel: lanes}, log.take("")},
	}
	var begun []*receiver
	for _, x := range routes {
		begun = append(begun, s.begin(ctx, b, x.route, x.take))
	}
	for _, r := range begun {
		r.await(ctx, s)
	}
	slowLog.mustSend(ctx, s, sender, messages(slowQueue, "slow", 1, behind)...)
	stuck.fill(ctx, s, credit, "a subscription that settles nothing")

	rounds, slowest := s.Count(50, 1000), time.Duration(0)
	for n := range rounds {
		began := time.Now()
		log.mustSend(ctx, s, sender, message(quickQueue, "queue", "k", n), message(lanes, "lanes", "k"+strconv.Itoa(n%8), n))
		log.mustSend(ctx, s, sender, message(topic, "topic", "k", n))
		soon, cancel := context.WithTimeout(ctx, resume)
		log.until(soon, func() bool { return log.count("") >= 2*(n+1) && log.count("quick") > n })
		cancel()
		slowest = max(slowest, time.Since(began))
		if q, p := log.count(""), log.count("quick"); q < 2*(n+1) || p <= n {
			s.Fatalf("got %d of %d messages of queues and %d of %d of a topic handled beside subscriptions that are stuck; want each within %v",
				q, 2*(n+1), p, n+1, resume)
		}
	}
	s.Notef("the slowest of %d rounds beside two stuck subscriptions took %v", rounds, slowest.Round(time.Millisecond))
	stuck.release()
	stuckToo.release()
	slowLog.settled(ctx, "")
	stuckToo.log.until(ctx, func() bool { return stuckToo.log.count("slow") >= rounds })
	slowLog.verify(s, "", faults{Unordered: true})
	if got := stuckToo.log.count("slow"); got != rounds {
		s.Errorf("the slow group handled %d messages once it went on; want %d", got, rounds)
	}
}

// maxGrowth is how much more memory may be kept while a consumer falls behind.
const maxGrowth = 64 << 20

func backPressure(ctx context.Context, s *Scene, site Site) {
	b, sender := site.Connect(ctx, s), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	s.declare(ctx, sender, c)
	const credit = 32
	total, size := s.Count(10_000, 300_000), s.Count(8<<10, 1<<10) // more than maxGrowth together
	came := newTally(total)
	slow := transport.NewCredit(credit)
	s.receive(ctx, b, transport.Route{Channel: c, Credit: slow}, came.take)
	before := heap()
	handling, stop := context.WithCancel(ctx)
	s.Go(func() { came.held.slowly(handling, 10) })
	s.Defer(func(context.Context) error {
		stop()
		return nil
	})

	body := make([]byte, size)
	began := time.Now()
	var publishers sync.WaitGroup
	const each, batch = 4, 50
	for p := range each {
		publishers.Go(func() {
			for from := p * batch; from < total; from += each * batch {
				sent := make([]*transport.Envelope, min(batch, total-from))
				for i := range sent {
					sent[i] = message(c, "m", "k", from+i)
					sent[i].Body = body
				}
				for _, r := range sender.Send(ctx, sent) {
					if r.Err != nil {
						s.Fatalf("sending to a queue whose consumer is behind: %v; want it stored", r.Err)
					}
				}
			}
		})
	}
	publishers.Wait()
	took, grown := time.Since(began), heap()-before
	s.Notef("%d messages of %d bytes published in %v while the consumer handled 10 a second; memory grew by %d MiB",
		total, size, took.Round(time.Millisecond), grown>>20)
	if grown > maxGrowth {
		s.Errorf("memory grew by %d MiB while a consumer fell %d messages behind; want at most %d MiB", grown>>20, total, maxGrowth>>20)
	}
	if got := came.held.peak(); got > credit {
		s.Errorf("got %d unsettled deliveries at once; want at most %d, the credit", got, credit)
	}
	stop()
	slow.Set(1000)
	came.held.release()
	select {
	case <-came.all:
	case <-ctx.Done():
		s.Errorf("got %d of %d messages that never came; want all handled once the consumer is quick", came.missing(), total)
	}
}

// heap is the memory that is kept, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// tally notes which of many messages came, in little memory. Safe for concurrent use.
type tally struct {
	all  chan struct{} // closed when each has come
	held *hands

	mu   sync.Mutex
	seen []bool
	left int
}

func newTally(n int) *tally {
	return &tally{all: make(chan struct{}), held: newHands(nil, ""), seen: make([]bool, n), left: n}
}

func (t *tally) take(d *transport.Delivery) {
	_, n := cut(d.Envelope.ID)
	t.mu.Lock()
	if n < len(t.seen) && !t.seen[n] {
		t.seen[n] = true
		if t.left--; t.left == 0 {
			close(t.all)
		}
	}
	t.mu.Unlock()
	t.held.take(d)
}

func (t *tally) missing() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left
}
