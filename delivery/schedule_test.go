package delivery_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// schedules is how many seeds TestRandomSchedulesLoseNothing runs.
const schedules = 40

func TestRandomSchedulesLoseNothing(t *testing.T) {
	for seed := range uint64(schedules) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newSchedule(t, seed).run() })
		})
	}
}

// schedule is a minute of messages to three channels while their receivers are killed, expelled, stopped and paused
// and the broker goes away, and then enough hours without faults.
type schedule struct {
	t      *testing.T
	fabric *mem.Fabric
	notes  notes
	calm   chan struct{} // closed: no more faults
	end    chan struct{} // closed: everything stops
	all    sync.WaitGroup

	mu        sync.Mutex
	random    *rand.Rand
	confirmed map[string][]string // the receivers that each confirmed message must reach
	done      map[string]bool     // receiver/id: handled to the end
	begun     map[string][]int    // receiver/key: numbers of the messages in the order in which they were first begun
	busy      map[string]bool     // process/receiver/key: a handler runs
	runs      int
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	return &schedule{
		t: t, fabric: mem.New(), calm: make(chan struct{}), end: make(chan struct{}), random: rand.New(rand.NewPCG(seed, 1)),
		confirmed: make(map[string][]string), done: make(map[string]bool), begun: make(map[string][]int), busy: make(map[string]bool),
	}
}

func (s *schedule) run() {
	sender := s.fabric.Process("sender").Broker()
	declare(s.t, sender, queue, keyed, topic)
	for i := range 3 {
		s.all.Go(func() { s.slot(i) })
	}
	time.Sleep(time.Second) // the groups are registered
	s.all.Go(func() { s.weather() })
	for i := range 150 {
		s.send(sender, i)
		time.Sleep(s.between(0, 800*time.Millisecond))
	}
	close(s.calm)
	time.Sleep(6 * time.Hour)
	close(s.end)
	s.all.Wait()
	s.check(sender)
}

// send sends message i to one of the channels; its id says how it will behave.
func (s *schedule) send(b transport.Broker, i int) {
	channel := []transport.Channel{queue, keyed, topic}[i%3]
	e := to(channel, fmt.Sprintf("m%03d", i))
	receivers := []string{channel.Address}
	switch i % 3 {
	case 1:
		e.Key = fmt.Sprint("k", i%5)
	case 2:
		receivers = []string{"mail", "fraud"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if delivery.Send(ctx, b, []*transport.Envelope{e})[0].Err == nil {
		s.mu.Lock()
		s.confirmed[e.ID] = receivers
		s.mu.Unlock()
	}
}

// weather takes the broker away now and then.
func (s *schedule) weather() {
	for s.wait(s.between(5*time.Second, 30*time.Second), s.calm) {
		s.fabric.Stop()
		time.Sleep(s.between(0, 8*time.Second))
		s.fabric.Start()
	}
}

// slot keeps a process running, one after another, under its fault of the hour.
func (s *schedule) slot(i int) {
	for n := 0; ; n++ {
		p := s.fabric.Process(fmt.Sprintf("p%d-%d", i, n))
		ctx, stop := context.WithCancel(context.Background())
		var consumers sync.WaitGroup
		for _, x := range []delivery.Subscription{{Channel: queue}, {Channel: keyed}, {Channel: topic, Group: "mail"}, {Channel: topic, Group: "fraud"}} {
			consumers.Go(func() { s.consume(ctx, p, x) })
		}
		more := s.fault(p)
		stop()
		consumers.Wait()
		p.Kill()
		if !more {
			return
		}
	}
}

// fault lets p run for a while and then does something to it; false when the schedule has ended.
func (s *schedule) fault(p *mem.Process) bool {
	for s.wait(s.between(time.Second, 20*time.Second), s.calm) {
		points := []mem.Point{mem.BeforeStore, mem.BeforeConfirm, mem.BeforeTake, mem.BeforeSettle, mem.AfterSettle}
		switch kind := s.pick(8); {
		case kind < len(points):
			p.CrashAt(points[kind], 1+s.pick(3))
		case kind == 5:
			p.Kill()
		case kind == 6:
			p.Expel()
			continue
		default:
			return true // an orderly stop
		}
		select {
		case <-p.Dead():
			return true
		case <-s.calm:
		}
	}
	select {
	case <-p.Dead():
		return true
	case <-s.end:
		return false
	}
}

func (s *schedule) consume(ctx context.Context, p *mem.Process, x delivery.Subscription) {
	x.Style, x.Concurrency, x.Drain = "test", 3, 2*time.Second
	receiver := x.Group
	if receiver == "" {
		receiver = x.Channel.Address
	}
	x.Handle = func(ctx context.Context, e *transport.Envelope) error { return s.handle(ctx, p, receiver, e) }
	for ctx.Err() == nil {
		c, err := delivery.New(p.Broker(), &mortal{s, p}, x)
		if err != nil {
			s.t.Errorf("New = %v", err)
			return
		}
		if err = c.Run(ctx, nil); err == nil {
			return
		}
		select {
		case <-p.Dead():
			return
		case <-time.After(time.Second): // a service that cannot start, because the broker is away, is started again
		}
	}
}

// handle fails as the id says: most never, some a few times, some for ever, some at once for good, some by panic.
func (s *schedule) handle(ctx context.Context, p *mem.Process, receiver string, e *transport.Envelope) error {
	var number int
	if _, err := fmt.Sscanf(e.ID, "m%d", &number); err != nil {
		return delivery.Permanent(err)
	}
	lane := fmt.Sprintf("%p/%s/%s", p, receiver, e.Key)
	s.mu.Lock()
	s.runs++
	if e.Key != "" {
		if s.busy[lane] {
			s.t.Errorf("%s: two handlers of key %s run in one process", e.ID, e.Key)
		}
		s.busy[lane] = true
		s.begin(receiver+"/"+e.Key, number)
	}
	chance := s.random.IntN(100)
	s.mu.Unlock()
	select {
	case <-time.After(s.between(0, 300*time.Millisecond)):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, lane)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(receiver + e.ID))
	switch kind := h.Sum32() % 20; {
	case kind == 0:
		return errOut
	case kind == 1:
		return delivery.Permanent(errOut)
	case kind == 2:
		panic("as planned")
	case kind < 8 && chance < 50:
		return errOut
	}
	select {
	case <-p.Dead(): // a dead process does nothing any more
	default:
		s.done[receiver+"/"+e.ID] = true
	}
	return nil
}

func (s *schedule) begin(lane string, number int) {
	for _, n := range s.begun[lane] {
		if n == number {
			return
		}
	}
	s.begun[lane] = append(s.begun[lane], number)
}

// check compares what was confirmed with what became of it.
func (s *schedule) check(b transport.Broker) {
	dead := make(map[string]bool)
	letters, _ := graveyard(s.t, b)
	for _, d := range letters {
		dead[d.Receiver+"/"+d.ID] = true
	}
	last := make(map[string]ledger.Kind)
	for _, x := range s.notes.transitions() {
		last[x.Group+"/"+x.ID] = x.Kind
	}
	for id, receivers := range s.confirmed {
		for _, receiver := range receivers {
			at := receiver + "/" + id
			if !s.done[at] && !dead[at] {
				s.t.Errorf("%s was confirmed and is neither handled nor a dead letter; trail %q", at, s.notes.of(id, receiver))
			}
			if k := last[at]; k != ledger.Done && k != ledger.DeadLettered {
				s.t.Errorf("the trail of %s ends with %q; want done or dead-lettered: %q", at, k, s.notes.of(id, receiver))
			}
		}
	}
	for lane, numbers := range s.begun {
		for i := 1; i < len(numbers); i++ {
			if numbers[i] < numbers[i-1] {
				s.t.Errorf("%s: first begun in the order %v; want that of sending", lane, numbers)
				break
			}
		}
	}
	if len(s.confirmed) < 100 || s.runs < 150 {
		s.t.Errorf("%d messages confirmed, %d handler runs: the schedule has hardly done anything", len(s.confirmed), s.runs)
	}
}

func (s *schedule) pick(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

func (s *schedule) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.pick(int(to-from)))
}

// wait is false once ended is closed.
func (s *schedule) wait(d time.Duration, ended <-chan struct{}) bool {
	select {
	case <-time.After(d):
		return true
	case <-ended:
		return false
	}
}

// mortal is the recorder of a process: nothing is recorded, and nothing confirmed, once it is dead.
type mortal struct {
	s *schedule
	p *mem.Process
}

func (m *mortal) Record(t ledger.Transition, confirmed func()) {
	select {
	case <-m.p.Dead():
		return
	default:
	}
	m.s.notes.Record(t, nil)
	if confirmed == nil {
		return
	}
	time.AfterFunc(m.s.between(0, 10*time.Millisecond), func() {
		select {
		case <-m.p.Dead():
		default:
			confirmed()
		}
	})
}
