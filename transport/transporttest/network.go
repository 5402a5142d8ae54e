package transporttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	// unbounded is by when a Send must have ended whose context has no deadline and whose connection was lost: 10 s are what
	// drivers give a broker for its answer, and they may have to connect again meanwhile.
	unbounded = 30 * time.Second
	// noticed is by when both sides know that a connection went silent; then resume is as after any outage.
	noticed = 30 * time.Second
)

// unreliable is a connection that can be lost and comes back by itself.
type unreliable struct {
	transport.Broker
	deafen func()       // from now on the broker's answers do not arrive
	lose   func() error // the connection is lost
}

// unreliable opens one, through a link where the target can do that; else the broker itself goes and comes.
func (s *Scene) unreliable(ctx context.Context, site Site) unreliable {
	switch {
	case site.Through != nil:
		l := s.link()
		return unreliable{l.connect(ctx, site), func() { l.silence(toDriver) }, func() error {
			l.cut()
			return nil
		}}
	case site.Down != nil || site.Kill != nil:
		return unreliable{site.Connect(ctx, s), func() {}, func() error {
			up := s.down(ctx, site)
			time.Sleep(50 * time.Millisecond)
			return up(ctx)
		}}
	}
	s.NotRunf("the target can neither be reached through another address nor end its broker: no Through, Down or Kill")
	return unreliable{}
}

func inFlightAcrossReconnect(ctx context.Context, s *Scene, site Site) {
	log, probes, direct, b := newAccount(), newAccount(), site.Connect(ctx, s), s.unreliable(ctx, site)
	c, other := s.channel(ctx, b, transport.Queue, 4), s.channel(ctx, b, transport.Queue, 0)
	s.declare(ctx, direct, c, other)
	f := s.fly(ctx, log, b, c, site.Through != nil)
	rounds, slowest := s.Count(5, 50), time.Duration(0)
	for round := range rounds {
		log.until(ctx, func() bool { return f.sends.Load() >= int64(10*flyers*(round+1)) })
		if round%2 == 0 {
			b.deafen()
			time.Sleep(deaf) // what is sent now is stored, and never confirmed
		}
		if err := b.lose(); err != nil {
			s.Fatalf("losing a connection: %v", err)
		}
		lost := time.Now()
		probes.insist(ctx, s, b, message(other, "probe", "", round))
		slowest = max(slowest, time.Since(lost))
	}
	if slowest > resume {
		s.Errorf("the first confirmation after a lost connection came after %v; want it within %v", slowest, resume)
	}
	f.stop()
	log.drain(ctx, s, direct, c)
	log.verify(s, "", faults{Duplicates: site.Through == nil, Unordered: true})
	s.Notef("connection lost %d times, confirmations again within %v: %s; %d sends without a good end, the longest took %v",
		rounds, slowest.Round(time.Millisecond), log.summary(), f.failed.Load(), time.Duration(f.longest.Load()).Round(time.Millisecond))
	if f.failed.Load() == 0 && time.Duration(f.longest.Load()) < deaf { // a driver may learn over another one what became of it
		s.Errorf("got every send confirmed at once although its connection was lost %d times; want some in flight, else nothing was tried", rounds)
	}
}

const (
	flyers = 16
	deaf   = 150 * time.Millisecond // before some of the losses
)

// flight is a load of batches that are in flight at any moment.
type flight struct {
	sends, failed, longest atomic.Int64
	stop                   func()
}

// fly begins one. Half of it has no deadline if patient: an answer may be waited for as long as a broker is away, but not
// over a connection that has been replaced.
func (s *Scene) fly(ctx context.Context, log *account, b transport.Broker, c transport.Channel, patient bool) *flight {
	f := &flight{}
	sending, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for p := range flyers {
		source, limit := fmt.Sprintf("flyer-%d", p), askLimit
		if patient && p%2 == 0 {
			limit = unbounded
		}
		running.Go(func() {
			for n := 0; sending.Err() == nil; n += 4 {
				batch := make([]*transport.Envelope, 4)
				for i := range batch {
					batch[i] = message(c, source, source, n+i)
				}
				f.one(ctx, s, log, b, batch, limit)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	f.stop = func() {
		cancel()
		running.Wait()
	}
	s.Defer(func(context.Context) error {
		f.stop()
		return nil
	})
	return f
}

// one sends a batch that must have ended after limit: by its context, or by itself.
func (f *flight) one(ctx context.Context, s *Scene, log *account, b transport.Broker, batch []*transport.Envelope, limit time.Duration) {
	if limit != unbounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	began := time.Now()
	receipts := log.send(ctx, s, b, batch...)
	took := time.Since(began)
	f.sends.Add(1)
	f.longest.Store(max(f.longest.Load(), int64(took)))
	if took > limit+overrun {
		s.Errorf("a send over a connection that was lost took %v and ended with %v; want it to end within %v", took, receipts[0].Err, limit)
	}
	for _, r := range receipts {
		if r.Err == nil {
			continue
		}
		f.failed.Add(1)
		if errors.Is(r.Err, transport.ErrRefused) {
			s.Errorf("a send over a connection that was lost = %v; want ErrNotSent or an unknown outcome, as it is worth repeating", r.Err)
		}
	}
}

func halfOpen(ctx context.Context, s *Scene, site Site) {
	direct := site.Connect(ctx, s)
	links := []*link{toBroker: s.link(), toDriver: s.link()}
	var both sync.WaitGroup
	for d, l := range links {
		b := l.connect(ctx, site)
		both.Go(func() { s.halfOpen(ctx, l, b, direct, direction(d)) })
	}
	both.Wait()
}

// halfOpen silences one direction of a connection in use, and wants it replaced.
func (s *Scene) halfOpen(ctx context.Context, l *link, b, direct transport.Broker, d direction) {
	out, in := newAccount(), newAccount() // by b's direction
	from, to := s.channel(ctx, b, transport.Queue, 4), s.channel(ctx, b, transport.Queue, 4)
	s.declare(ctx, direct, from, to)
	s.receive(ctx, direct, transport.Route{Channel: from}, out.take(""))
	s.receive(ctx, b, transport.Route{Channel: to}, in.take(""))
	sending, receiving := s.press(ctx, out, b, from), s.press(ctx, in, direct, to)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in.until(ctx, func() bool { return in.count("") >= 2*publishers && out.count("") >= 2*publishers })

	n := l.silence(d)
	began := time.Now()
	soon, stop := context.WithTimeout(ctx, noticed+resume)
	defer stop()
	out.insist(soon, s, b, message(from, "sent", "k", 0))
	sent := time.Since(began)
	in.insist(soon, s, direct, message(to, "received", "k", 0))
	in.until(soon, func() bool { return in.handledBy("", "received-0") })
	if !in.handledBy("", "received-0") {
		s.Errorf("%d connections silent %s: a message sent to a receiver behind them is not handled; want that noticed within %v, and it there %v later", n, d, noticed, resume)
	}
	s.Notef("silent %s: sends confirmed after %v, deliveries after %v", d, sent.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	sending.stop()
	receiving.stop()
	for log, c := range map[*account]transport.Channel{out: from, in: to} {
		log.settled(ctx, "")
		log.empty(ctx, s, direct, c, "")
		log.verify(s, "", faults{Duplicates: true})
	}
}

func badNetwork(ctx context.Context, s *Scene, site Site) {
	direct := site.Connect(ctx, s)
	var all sync.WaitGroup
	for _, way := range []condition{far, lossy, narrow} {
		l := s.link()
		b := l.connect(ctx, site)
		all.Go(func() { s.badNetwork(ctx, l, b, direct, way) })
	}
	all.Wait()
}

// badNetwork sends and receives over a network that becomes bad, and then good again.
func (s *Scene) badNetwork(ctx context.Context, l *link, b, direct transport.Broker, way condition) {
	log := newAccount()
	c := s.channel(ctx, b, transport.Queue, 4)
	s.declare(ctx, direct, c)
	s.receive(ctx, b, transport.Route{Channel: c}, log.take(""))
	load, other := s.press(ctx, log, b, c), s.pressAs(ctx, log, direct, c, "direct")
	log.until(ctx, func() bool { return log.count("") >= 4*publishers })

	l.become(way)
	before := load.stored.Load()
	time.Sleep(time.Duration(s.Count(6, 40)) * time.Second)
	s.Notef("%s: %d sends confirmed in time meanwhile", way.name, load.stored.Load()-before)
	l.become(condition{})
	good := time.Now()
	soon, cancel := context.WithTimeout(ctx, noticed+resume)
	defer cancel()
	s.resumed(soon, b, message(c, "good", "", 0), log)
	s.Notef("after %s everything went on within %v", way.name, time.Since(good).Round(time.Millisecond))
	load.stop()
	other.stop()
	log.settled(ctx, "")
	log.empty(ctx, s, direct, c, "")
	log.verify(s, "", faults{Duplicates: true, Unordered: true})
}
