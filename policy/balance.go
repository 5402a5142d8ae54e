package policy

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	latencyWeight = 0.25             // of a new measurement
	latencyHalves = 5 * time.Second  // an old measurement is worth half: a peer that was slow is tried again
	latencyWorst  = 2 * time.Second  // what a failure makes of a latency at the most
	peerForgotten = 10 * time.Minute // an instance that was not called for so long, once another appears
)

// callee is what a client knows about one service: its budget, and an entry for each instance.
type callee struct {
	service string
	o       *Options
	budget  *budget
	peers   sync.Map // name to *peer
}

func newCallee(service string, o *Options, now time.Time) *callee {
	return &callee{service: service, o: o, budget: newBudget(now)}
}

// peer finds the entry of an instance or makes it. Entries of instances that are gone are dropped when a new one
// appears, but not at once: an instance that comes back finds its breaker as it was.
func (t *callee) peer(name string, now time.Time) *peer {
	if p, ok := t.peers.Load(name); ok {
		return p.(*peer)
	}
	t.peers.Range(func(name, p any) bool {
		if p.(*peer).idle(now) > peerForgotten {
			t.peers.Delete(name)
		}
		return true
	})
	p, _ := t.peers.LoadOrStore(name, &peer{name: name, callee: t, breaker: newBreaker(&t.o.Breaker, now), used: now})
	return p.(*peer)
}

// pick enters one of names: the better of two chosen at random, by calls in flight times latency, which is nearly as
// good as the best of all and does not send every client to the same one. A breaker that refuses leads to the other
// and then to the rest; instances in tried come last. It answers nil if all refuse.
func (t *callee) pick(names []string, tried []*peer, now time.Time) (*peer, permit) {
	if len(names) == 1 {
		p := t.peer(names[0], now)
		if pass, ok := p.enter(now); ok {
			return p, pass
		}
		return nil, permit{}
	}
	i, j := twoOf(len(names))
	a, b := t.peer(names[i], now), t.peer(names[j], now)
	if b.standing(now).better(a.standing(now)) {
		a, b = b, a
	}
	for _, again := range [...]bool{false, true} {
		for k := range len(names) + 2 {
			p := a
			switch {
			case k == 1:
				p = b
			case k > 1:
				p = t.peer(names[(i+k)%len(names)], now)
			}
			if slices.Contains(tried, p) != again {
				continue
			}
			if pass, ok := p.enter(now); ok {
				return p, pass
			}
		}
	}
	return nil, permit{}
}

// another reports whether an instance that was not tried would take a call now.
func (t *callee) another(names []string, tried []*peer, now time.Time) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		p := t.peer(name, now)
		return !slices.Contains(tried, p) && !p.standing(now).refuses
	})
}

// twoOf are two different numbers below n, which is at least 2.
func twoOf(n int) (i, j int) {
	i, j = rand.IntN(n), rand.IntN(n-1)
	if j >= i {
		j++
	}
	return i, j
}

// peer is one instance of a callee.
type peer struct {
	name   string
	callee *callee

	mu       sync.Mutex
	breaker  breaker
	inFlight int
	latency  time.Duration // weighted mean of what attempts took; 0 = unknown
	measured time.Time
	used     time.Time
}

// enter lets an attempt begin if the breaker does. Each enter that answers true is followed by one leave.
func (p *peer) enter(now time.Time) (permit, bool) {
	p.mu.Lock()
	before := p.breaker.generation
	pass, ok := p.breaker.enter(now)
	if ok {
		p.inFlight++
	}
	p.used = now
	p.unlock(before, now)
	return pass, ok
}

// leave ends an attempt that began at began.
func (p *peer) leave(pass permit, began, now time.Time, v verdict) {
	p.mu.Lock()
	before := p.breaker.generation
	p.inFlight--
	p.measure(now.Sub(began), now, v)
	p.breaker.leave(pass, now, v)
	if p.breaker.generation != before && p.breaker.state == Closed {
		p.latency = 0 // it has recovered: nothing is known about it
	}
	p.unlock(before, now)
}

// measure takes an attempt into the latency. A failure is often quick and must not attract calls: it counts as ten
// times the present latency.
func (p *peer) measure(took time.Duration, now time.Time, v verdict) {
	switch v {
	case noVerdict:
		return
	case failing, unreachable:
		took = max(took, min(10*p.latency, latencyWorst))
	}
	if p.latency == 0 {
		p.latency = max(took, 1)
	} else {
		p.latency += time.Duration(latencyWeight * float64(took-p.latency))
	}
	p.measured = now
}

// unlock tells of a change of state, after the lock is free.
func (p *peer) unlock(generation uint64, now time.Time) {
	changed := p.breaker.generation != generation && p.callee.o.OnBreaker != nil
	var s BreakerStatus
	if changed {
		s = p.statusLocked(now)
	}
	p.mu.Unlock()
	if changed {
		p.callee.o.OnBreaker(s)
	}
}

func (p *peer) idle(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inFlight > 0 {
		return 0
	}
	return now.Sub(p.used)
}

func (p *peer) status(now time.Time) BreakerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.statusLocked(now)
}

func (p *peer) statusLocked(now time.Time) BreakerStatus {
	s := p.breaker.status(now)
	s.Service, s.Peer = p.callee.service, p.name
	return s
}

// standing is what the choice looks at.
type standing struct {
	refuses  bool // its breaker gives no permit
	probe    bool // its breaker waits for a probe
	inFlight int
	latency  float64 // ns, worth less the older it is; 0 = unknown
}

func (p *peer) standing(now time.Time) standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	ok, probe := p.breaker.admits(now)
	s := standing{refuses: !ok, probe: probe, inFlight: p.inFlight, latency: float64(p.latency)}
	if age := now.Sub(p.measured); age > latencyHalves/100 {
		s.latency *= math.Exp2(-float64(age) / float64(latencyHalves))
	}
	return s
}

// better: a probe goes first, because a peer that failed looks slow and would never be tried. An unknown latency
// leaves calls in flight to decide.
func (s standing) better(than standing) bool {
	switch {
	case s.refuses != than.refuses:
		return than.refuses
	case s.probe != than.probe:
		return s.probe
	case s.latency == 0 || than.latency == 0:
		return s.inFlight < than.inFlight
	}
	return float64(s.inFlight+1)*s.latency < float64(than.inFlight+1)*than.latency
}
