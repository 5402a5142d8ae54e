package transporttest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	// resume is how soon everything goes on once the broker serves: the 5 s that a driver may wait between two tries to
	// connect, and as much for what it then does.
	resume = 10 * time.Second
	// askLimit is the deadline of whatever is asked of a broker that is away; overrun is what a busy machine may add.
	askLimit = time.Second
	overrun  = 2 * time.Second
)

func brokerAway(ctx context.Context, s *Scene, site Site) {
	if site.Down == nil && site.Kill == nil {
		s.NotRunf("the target cannot end its broker: neither Down nor Kill")
	}
	log, heard, b, other := newAccount(), newAccount(), site.Connect(ctx, s), site.Connect(ctx, s)
	queue, topic, idle := s.channel(ctx, b, transport.Queue, 4), s.channel(ctx, b, transport.Topic, 0), s.channel(ctx, b, transport.Queue, 0)
	s.declare(ctx, other, queue, topic, idle)
	s.receive(ctx, other, transport.Route{Channel: queue}, log.take(""))
	s.receive(ctx, other, transport.Route{Channel: topic, Group: "g"}, heard.take(""))
	load := s.press(ctx, log, b, queue)
	log.until(ctx, func() bool { return log.count("") >= 10*publishers })

	up := s.down(ctx, site)
	began := time.Now()
	late := s.begin(ctx, other, transport.Route{Channel: idle}, heard.take(""))
	if site.Down != nil {
		load.away.Store(true)
		s.declareAway(ctx, b)
		time.Sleep(time.Duration(s.Count(8, 180))*time.Second - time.Since(began))
		load.away.Store(false)
	}
	if err := up(ctx); err != nil {
		s.Fatalf("starting the broker again: %v", err)
	}
	s.served(ctx, site)
	back := time.Now()
	soon, cancel := context.WithDeadline(ctx, back.Add(resume))
	defer cancel()
	s.resumed(soon, b, message(queue, "back-queue", "", 0), log)
	s.resumed(soon, b, message(topic, "back-topic", "", 0), heard)
	s.resumed(soon, b, message(idle, "back-idle", "", 0), heard)
	select {
	case <-late.ready:
	case <-late.ended:
		s.Errorf("a Receive that began while the broker was away = %v; want it to wait for the broker", late.err)
	case <-soon.Done():
		s.Errorf("a Receive that began while the broker was away is not ready; want it ready within %v of its return", resume)
	}
	s.Notef("broker away for %v, everything resumed within %v", back.Sub(began).Round(time.Millisecond), time.Since(back).Round(time.Millisecond))

	load.stop()
	log.settled(ctx, "")
	log.empty(ctx, s, b, queue, "")
	log.verify(s, "", faults{Duplicates: true})
	heard.verify(s, "", faults{Duplicates: true, Unordered: true})
	s.Notef("%s, %d sends in the outage", log.summary(), load.failed.Load())
	if site.Down != nil && load.failed.Load() == 0 {
		s.Errorf("got no send while the broker was away; want some, else nothing was tried")
	}
}

// down ends the broker; up starts it again.
func (s *Scene) down(ctx context.Context, site Site) (up func(context.Context) error) {
	if site.Down == nil {
		return site.Kill
	}
	up, err := site.Down(ctx)
	if err != nil {
		s.Fatalf("ending the broker: %v", err)
	}
	return up
}

// served waits until the broker serves who connects now: what it takes to start is its own time, and not that of those
// who were connected.
func (s *Scene) served(ctx context.Context, site Site) {
	b, err := site.Open(ctx)
	for err != nil && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
		b, err = site.Open(ctx)
	}
	b = s.owned(b, err)
	log, c := newAccount(), transport.Channel{Address: s.Address(), Pattern: transport.Queue}
	s.declareAgain(ctx, b, c)
	log.insist(ctx, s, b, message(c, "now", "k", 0))
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{Duplicates: true})
}

// resumed wants a message stored and handled before soon is over.
func (s *Scene) resumed(soon context.Context, b transport.Broker, e *transport.Envelope, log *account) {
	log.insist(soon, s, b, e)
	log.until(soon, func() bool { return log.handledBy("", e.ID) })
	if !log.handledBy("", e.ID) {
		s.Errorf("message %s, sent since the broker can be reached again, is not handled in time; want everything to go on by itself", e.ID)
	}
}

// declareAway wants a Declare that cannot reach the broker to say so in time.
func (s *Scene) declareAway(ctx context.Context, b transport.Broker) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	began := time.Now()
	err := b.Declare(ctx, []transport.Channel{{Address: s.Address(), Pattern: transport.Queue}})
	if took := time.Since(began); took > askLimit+overrun {
		s.Errorf("Declare while the broker was away took %v; want it to end with its context after %v", took, askLimit)
	}
	if !errors.Is(err, transport.ErrNotSent) {
		s.Errorf("Declare while the broker was away = %v; want an error that wraps ErrNotSent", err)
	}
}

const publishers = 8 // of a load

// load publishes, whatever happens to the broker.
type load struct {
	away   atomic.Bool  // set while the broker certainly is, or lets nobody in
	failed atomic.Int64 // meanwhile
	stored atomic.Int64
	stop   func()
}

// press publishes from a few goroutines until stop, once each message, and wants each Send to end in time with an answer
// that may be true.
func (s *Scene) press(ctx context.Context, log *account, b transport.Broker, c transport.Channel) *load {
	return s.pressAs(ctx, log, b, c, "load")
}

// pressAs is press for one of several loads of an account.
func (s *Scene) pressAs(ctx context.Context, log *account, b transport.Broker, c transport.Channel, source string) *load {
	l := &load{}
	sending, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for p := range publishers {
		running.Go(func() {
			for n := 0; sending.Err() == nil; n++ {
				l.one(ctx, s, log, b, message(c, fmt.Sprintf("%s-%d", source, p), "k"+strconv.Itoa(p), n))
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	l.stop = func() {
		cancel()
		running.Wait()
	}
	s.Defer(func(context.Context) error {
		l.stop()
		return nil
	})
	return l
}

func (l *load) one(ctx context.Context, s *Scene, log *account, b transport.Broker, e *transport.Envelope) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	away, began := l.away.Load(), time.Now()
	err := log.send(ctx, s, b, e)[0].Err
	took := time.Since(began)
	if took > askLimit+overrun {
		s.Errorf("a send took %v and ended with %v; want it to end with its context after %v", took, err, askLimit)
	}
	if errors.Is(err, transport.ErrRefused) {
		s.Errorf("a send ended with %v; want ErrNotSent or an unknown outcome, as it is worth repeating", err)
	}
	if err == nil {
		l.stored.Add(1)
	}
	if !away || !l.away.Load() {
		return
	}
	if err == nil {
		s.Errorf("a send was confirmed while nobody could reach the broker; want an error")
	}
	l.failed.Add(1)
}
