package kafka

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parley-io/parley/transport"
)

// flight is a record on its way. Its outcome goes to the call that sent it, or to those that repeated it since.
type flight struct {
	call     *call
	n        int       // the envelope's place in the call
	identity string    // once it is adrift
	twins    []*flight // repeats that wait for it; guarded by adrift
}

// adrift are the flights whose senders no longer wait. The cluster may still get them: the client library can't take
// back what it may have written. So a repeat of such a message does not become a second one, but waits for the first.
// The zero adrift is empty.
type adrift struct {
	count   atomic.Int64 // so that nobody locks where there are none
	mu      sync.Mutex
	flights map[string]*flight
}

func (a *adrift) add(f *flight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flights == nil {
		a.flights = make(map[string]*flight)
	}
	a.flights[f.identity] = f
	a.count.Store(int64(len(a.flights)))
}

// join makes f wait for an earlier flight of the same message, and reports whether there is one.
func (a *adrift) join(f *flight, e *transport.Envelope) bool {
	if a.count.Load() == 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.flights[identity(e)]
	if first == nil {
		return false
	}
	first.twins = slices.DeleteFunc(first.twins, func(t *flight) bool { return t.call.over.Load() }) // else they grow with each repeat
	first.twins = append(first.twins, f)
	return true
}

// land takes the outcome of a flight.
func (a *adrift) land(f *flight, r transport.Receipt) {
	if f.call.settle(f.n, r) {
		return
	}
	a.mu.Lock()
	if a.flights[f.identity] == f {
		delete(a.flights, f.identity)
		a.count.Store(int64(len(a.flights)))
	}
	twins := f.twins
	a.mu.Unlock()
	for _, t := range twins {
		t.call.settle(t.n, r)
	}
}
