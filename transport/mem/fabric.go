package mem

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// Fabric is what survives its processes: channels, groups, messages, and the wire of calls. All methods may be called
// concurrently.
type Fabric struct {
	features transport.Features // constant

	mu        sync.Mutex // guards what follows and every channel, group, receiver, broker and caller of the fabric
	away      bool
	channels  map[string]*channel
	processes map[string]*Process // those that run, by name
}

// Option changes a Fabric at its construction.
type Option func(*Fabric)

// WithDedupe sets the window in which a repeated (ID, Copy) is stored once. The default is 2 minutes; 0 stores every
// repetition.
func WithDedupe(window time.Duration) Option {
	return func(f *Fabric) { f.features.Dedupe = max(window, 0) }
}

// WithMaxBytes sets the largest message, request or answer, as [transport.Envelope.Size] counts. The default is
// [transport.DefaultMaxBody]; 0 takes empty ones only.
func WithMaxBytes(n int) Option {
	return func(f *Fabric) { f.features.MaxBytes = n }
}

// New returns an empty Fabric.
func New(opts ...Option) *Fabric {
	f := &Fabric{
		features: transport.Features{
			MaxBytes: transport.DefaultMaxBody,
			Dedupe:   2 * time.Minute,
			Delay:    math.MaxInt64,
			Streams:  true,
			Audience: true,
			Survives: "nothing",
		},
		channels:  make(map[string]*channel),
		processes: make(map[string]*Process),
	}
	for _, opt := range opts {
		opt(f)
	}
	return f
}

// Process starts a process. Its name is its place on the wire: others call it as "mem://NAME". A name can be used
// again once the process that had it was killed; two at the same time are a defect of the test, so Process panics.
func (f *Fabric) Process(name string) *Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name == "" || f.processes[name] != nil {
		panic(fmt.Sprintf("mem: process %q: want a name that no running process has; Kill the other one first", name))
	}
	p := newProcess(f, name)
	f.processes[name] = p
	return p
}

// Stop takes the broker away: Send answers [transport.ErrNotSent], Receive waits, and nothing is lost. What was
// delivered can still be settled, and calls, which need no broker, go on.
func (f *Fabric) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = true
}

// Start brings the broker back with everything that it held.
func (f *Fabric) Start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = false
	for _, p := range f.processes {
		for r := range p.broker.receivers {
			r.kick()
		}
	}
}
