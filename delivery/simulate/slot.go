package simulate

import (
	"fmt"
	"sync"
	"time"

	"github.com/parley-io/parley/transport/mem"
)

// detection is how long a process is frozen before the broker takes it for dead.
const detection = 6 * time.Second

// slot keeps a process running, one after another.
type slot struct {
	world  *world
	number int
	orders chan time.Duration // stop in order, and start again so long after that

	mu      sync.Mutex // guards what follows
	current *instance  // nil = none runs
	absence time.Duration
}

func (s *slot) name() string { return fmt.Sprint("p", s.number) }

// run ends with the world.
func (s *slot) run() {
	for {
		i := newInstance(s.world, s.name())
		s.become(i)
		select {
		case <-i.process.Dead():
		case absence := <-s.orders:
			i.stop()
			s.stay(absence)
		case <-s.world.end:
			i.stop()
			return
		}
		i.cancel()
		i.gate.open()
		s.become(nil)
		select {
		case <-time.After(s.stay(0)):
		case <-s.world.end:
			return
		}
	}
}

func (s *slot) become(i *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = i
}

// stay sets for how long the slot is empty after its process ended, unless it is 0, and answers it.
func (s *slot) stay(absence time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if absence > 0 {
		s.absence = absence
	}
	return s.absence
}

// now is the process that runs; nil = none.
func (s *slot) now() *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *slot) kill(absence time.Duration) {
	if i := s.now(); i != nil {
		s.stay(absence)
		i.process.Kill()
	}
}

func (s *slot) crash(point mem.Point, n int, absence time.Duration) {
	if i := s.now(); i != nil {
		s.stay(absence)
		i.process.CrashAt(point, n)
	}
}

func (s *slot) expel() {
	if i := s.now(); i != nil {
		s.world.notes.trouble(i, "expelled", 0)
		i.process.Expel()
	}
}

// freeze is SIGSTOP and SIGCONT; meanwhile the broker may take the process for dead.
func (s *slot) freeze(long time.Duration) {
	i := s.now()
	if i == nil || !i.gate.shut() {
		return
	}
	s.world.notes.changef("%s is stopped", i.name)
	s.world.notes.standStill(i, long)
	if long > detection {
		s.world.notes.trouble(i, "frozen", long)
		time.AfterFunc(detection, i.process.Expel)
	}
	time.AfterFunc(long, func() {
		s.world.notes.changef("%s goes on", i.name)
		i.gate.open()
	})
}

// doubt is a broker that answers nothing, for less time than it takes a process for dead.
func (s *slot) doubt(long time.Duration) {
	if i := s.now(); i != nil {
		s.world.notes.changef("%s doubts what it has", i.name)
		i.doubt.Store(time.Now().Add(long).UnixNano())
		time.AfterFunc(long, func() { s.world.notes.changef("%s is certain of what it has", i.name) })
	}
}

func (s *slot) stop(absence time.Duration) {
	if s.now() != nil {
		s.orders <- absence
	}
}

func (s *slot) pause(long time.Duration) {
	i := s.now()
	if i == nil {
		return
	}
	for _, c := range i.running() {
		c.Pause("as planned")
		time.AfterFunc(long, c.Resume)
	}
}

func (s *slot) concurrency(n int) {
	if i := s.now(); i != nil {
		for _, c := range i.running() {
			if err := c.SetConcurrency(n); err != nil {
				s.world.notes.brokenf("SetConcurrency(%d) = %v", n, err)
			}
		}
	}
}

// calm takes back what was ordered and has not come.
func (s *slot) calm() {
	i := s.now()
	if i == nil {
		return
	}
	i.gate.open()
	for _, point := range []mem.Point{mem.BeforeStore, mem.BeforeConfirm, mem.BeforeTake, mem.BeforeSettle, mem.AfterSettle} {
		i.process.CrashAt(point, 0)
	}
}

// gate holds back everything that a frozen process would do.
type gate struct {
	mu      sync.Mutex
	waiting chan struct{} // nil = open
}

func (g *gate) pass() {
	for {
		g.mu.Lock()
		waiting := g.waiting
		g.mu.Unlock()
		if waiting == nil {
			return
		}
		<-waiting
	}
}

// shut reports false if it was.
func (g *gate) shut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting != nil {
		return false
	}
	g.waiting = make(chan struct{})
	return true
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting != nil {
		close(g.waiting)
		g.waiting = nil
	}
}
