package mem

import "fmt"

// Point is a moment at which a process can be made to die; see [Process.CrashAt].
type Point string

const (
	BeforeStore   Point = "before store"   // Send: nothing is stored, and the sender does not know it
	BeforeConfirm Point = "before confirm" // Send: the message is stored, and the sender does not know it
	BeforeTake    Point = "before take"    // Receive: delivered, but take is not called
	BeforeSettle  Point = "before settle"  // Settle: handled, but the broker does not learn of it and delivers again
	AfterSettle   Point = "after settle"   // Settle: the broker knows the outcome
	BeforeHandle  Point = "before handle"  // Answer: the request has arrived, and the handler is not called
	BeforeAnswer  Point = "before answer"  // Answer: the handler has returned, and the caller does not get its answer
)

// Process is one process attached to a Fabric: a connection to the broker and a place on the wire. All methods may be
// called concurrently.
//
// Killing a process cannot stop the goroutines that play it. They see what a real process never sees: errors that wrap
// [transport.ErrClosed], contexts of calls that end, deliveries whose Valid is false; and nothing they do afterwards
// reaches the fabric.
type Process struct {
	fabric *Fabric
	name   string
	broker *Broker
	caller *Caller
	dead   chan struct{}
	crash  map[Point]int // passings that are left
}

func newProcess(f *Fabric, name string) *Process {
	p := &Process{fabric: f, name: name, dead: make(chan struct{}), crash: make(map[Point]int)}
	p.broker = &Broker{process: p, fabric: f, receivers: make(map[*receiver]struct{})}
	p.caller = newCaller(p)
	return p
}

// Broker is the process's connection to the broker, always the same.
func (p *Process) Broker() *Broker { return p.broker }

// Caller is the process's place on the wire, always the same.
func (p *Process) Caller() *Caller { return p.caller }

// Dead is closed once the process was killed.
func (p *Process) Dead() <-chan struct{} { return p.dead }

// Kill is kill -9. What the process has not settled goes back to the broker at once, in its place; Sends in flight end
// with unknown outcome; its Receives and Answers return an error wrapping [transport.ErrClosed]; requests to it and
// from it fail; later settlements are ignored. The name is free again. Killing twice is fine.
func (p *Process) Kill() {
	p.fabric.mu.Lock()
	defer p.fabric.mu.Unlock()
	p.kill()
}

// CrashAt kills the process when it passes a point for the n-th time from now; 1 is the next time, 0 takes the order
// back. Each point has one such order.
func (p *Process) CrashAt(point Point, n int) {
	p.fabric.mu.Lock()
	defer p.fabric.mu.Unlock()
	switch point {
	case BeforeStore, BeforeConfirm, BeforeTake, BeforeSettle, AfterSettle, BeforeHandle, BeforeAnswer:
		p.crash[point] = n
	default:
		panic(fmt.Sprintf("mem: process %q cannot crash at %q: no such point", p.name, point))
	}
}

// Expel makes the broker take the process for dead although it lives, as after a long pause of the garbage collector
// or a cut cable: its deliveries are revoked and go to others, its settlements of them are ignored, and its Receives
// go on as newcomers.
func (p *Process) Expel() {
	p.fabric.mu.Lock()
	defer p.fabric.mu.Unlock()
	for r := range p.broker.receivers {
		again := r.group != nil && !r.leaving
		r.expel()
		if again {
			r.leaving = false
			r.enter()
		}
	}
}

// pass counts a passing of point and reports whether the process lives on.
func (p *Process) pass(point Point) bool {
	if n := p.crash[point]; n > 0 {
		p.crash[point] = n - 1
		if n == 1 {
			p.kill()
		}
	}
	return p.alive()
}

func (p *Process) alive() bool {
	select {
	case <-p.dead:
		return false
	default:
		return true
	}
}

func (p *Process) kill() {
	if !p.alive() {
		return
	}
	close(p.dead)
	delete(p.fabric.processes, p.name)
	for r := range p.broker.receivers {
		r.end(p.broker.errClosed())
	}
}
