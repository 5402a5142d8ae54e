package nats_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/transporttest"
)

// start is a handler that begins.
type start struct {
	worker, id, key string
	partition       int
	fence           uint64
	at              time.Time
}

// crew is a group whose members handle as a careful layer does, and what they did.
type crew struct {
	t       *testing.T
	channel transport.Channel

	mu      sync.Mutex
	sent    []*transport.Envelope
	starts  []start
	changed chan struct{} // closed and replaced with each start
}

// worker is a member of a crew.
type worker struct {
	crew *crew
	name string
	*transporttest.Receiving
	ended chan struct{}

	mu   sync.Mutex
	held chan struct{} // nil = it may work
	dead bool          // nobody cares how its Receive ends
}

const crewKeys = 40

func newCrew(t *testing.T, b *nats.Broker, c transport.Channel) *crew {
	t.Helper()
	declare(t, b, c)
	return &crew{t: t, channel: c, changed: make(chan struct{})}
}

// publish sends the next message of each key, n times.
func (c *crew) publish(b *nats.Broker, n int) {
	c.t.Helper()
	for range n {
		var batch []*transport.Envelope
		for k := range crewKeys {
			batch = append(batch, envelope(c.channel, fmt.Sprintf("k%d", k)))
		}
		send(c.t, b, batch...)
		c.mu.Lock()
		c.sent = append(c.sent, batch...)
		c.mu.Unlock()
	}
}

func (c *crew) join(name string, b *nats.Broker) *worker {
	c.t.Helper()
	w := &worker{
		crew: c, name: name, ended: make(chan struct{}),
		Receiving: transporttest.StartReceiving(c.t, b, transport.Route{Channel: c.channel, Group: group(c.channel), Credit: transport.NewCredit(64)}),
	}
	go w.work()
	return w
}

func (w *worker) work() {
	defer close(w.ended)
	for {
		select {
		case d := <-w.Got:
			w.handle(d)
		case err := <-w.Receiving.Ended:
			w.mu.Lock()
			dead := w.dead
			w.mu.Unlock()
			if err != nil && !dead {
				w.crew.t.Errorf("%s: Receive = %v; want nil", w.name, err)
			}
			return
		}
	}
}

func (w *worker) handle(d *transport.Delivery) {
	w.mu.Lock()
	held := w.held
	w.mu.Unlock()
	if held != nil {
		<-held
	}
	if !d.Valid() || over(d.Yield) || over(d.Revoked) {
		d.Settle(transport.Return)
		return
	}
	c := w.crew
	c.mu.Lock()
	c.starts = append(c.starts, start{w.name, d.Envelope.ID, d.Envelope.Key, d.Partition, d.Fence, time.Now()})
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	d.Settle(transport.Done)
}

// hold keeps the worker from beginning anything; the answer lets it go on.
func (w *worker) hold() (release func()) {
	held := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = held
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.held = nil
		close(held)
	}
}

// die lets the worker go on, when the test is over, with what it has in hand.
func (w *worker) die(goOn func()) {
	w.mu.Lock()
	w.dead = true
	w.mu.Unlock()
	w.crew.t.Cleanup(func() {
		goOn()
		<-w.ended
	})
}

// leave ends the worker in order.
func (w *worker) leave() {
	w.crew.t.Helper()
	w.Cancel()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.crew.t.Fatalf("%s has not ended; want Receive to return", w.name)
	}
}

// over reports whether c is closed.
func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// until waits until what was begun so far is enough, and returns it.
func (c *crew) until(what string, enough func([]start) bool) []start {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		starts, changed := slices.Clone(c.starts), c.changed
		c.mu.Unlock()
		if enough(starts) {
			return starts
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("%d handlers begun; want %s", len(starts), what)
		}
	}
}

// partitions are those of which each worker has begun something since begin.
func partitions(starts []start, begin time.Time) map[string][]int {
	all := make(map[string][]int)
	for _, s := range starts {
		if s.at.After(begin) && !slices.Contains(all[s.worker], s.partition) {
			all[s.worker] = append(all[s.worker], s.partition)
		}
	}
	return all
}

// busy publishes until the workers named, and no others, have begun something of shares of the partitions since it was
// called, and returns these.
func (c *crew) busy(b *nats.Broker, shares map[string]int) map[string][]int {
	c.t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; {
		since := time.Now()
		c.publish(b, 1)
		c.handled()
		c.mu.Lock()
		got := partitions(c.starts, since)
		c.mu.Unlock()
		same := len(got) == len(shares)
		for name, n := range shares {
			same = same && len(got[name]) == n
		}
		if same {
			return got
		}
	}
	c.t.Fatalf("the shares of the workers are not %v", shares)
	return nil
}

// handled waits until all that was sent was begun.
func (c *crew) handled() []start {
	c.t.Helper()
	c.mu.Lock()
	sent := slices.Clone(c.sent)
	c.mu.Unlock()
	return c.until("all that was sent", func(starts []start) bool {
		seen := make(map[string]bool, len(starts))
		for _, s := range starts {
			seen[s.id] = true
		}
		return !slices.ContainsFunc(sent, func(e *transport.Envelope) bool { return !seen[e.ID] })
	})
}

// verify wants each key in order and each partition to have one owner after the other; repeats says how many messages
// may have been begun again.
func (c *crew) verify(repeats int) {
	c.t.Helper()
	starts, place := c.handled(), make(map[string]int)
	for i, e := range c.sent {
		place[e.ID] = i
	}
	newest, fences, seen, again := make(map[string]int), make(map[int]uint64), make(map[string]bool), 0
	for _, s := range starts {
		if s.fence < fences[s.partition] {
			c.t.Errorf("%s began %s of partition %d with fence %d after one with %d; want nothing begun by a former owner", s.worker, s.id, s.partition, s.fence, fences[s.partition])
		}
		fences[s.partition] = s.fence
		if seen[s.id] {
			again++
			continue
		}
		seen[s.id] = true
		if at := place[s.id] + 1; at < newest[s.key] {
			c.t.Errorf("%s began %s after a newer one of its key", s.worker, s.id)
		} else {
			newest[s.key] = at
		}
	}
	if again > repeats {
		c.t.Errorf("%d messages were begun again; want at most %d", again, repeats)
	}
	if len(starts) == 0 {
		c.t.Error("nothing was begun; want some, else nothing was tried")
	}
}
