package operation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// Code is one version of the code of an operation.
type Code struct {
	Address string
	Version int           // from 1; new operations get the highest
	Timeout time.Duration // from acceptance until the operation fails; 0 = none
	// Run is the code. Its context belongs to the operation, see [RunFrom]. What it does between steps must depend
	// on the input and on results of steps only, because it is done again after every interruption. An error is a
	// failure of the business: what was declared with Undo is undone, and the operation Failed. When the engine has to
	// interrupt it (the process stops, a long wait, a cancel, the deadline), its goroutine ends inside of one of the
	// methods of Run, with its deferred functions run.
	Run func(ctx context.Context, input []byte) ([]byte, error)
}

// Options are those of an Engine.
type Options struct {
	Worker      string          // the name of this worker, stable over restarts; the service's name is fine where it has one process
	Service     string          // whose operations these are, for the ledger
	Recorder    ledger.Recorder // nil = nothing is recorded
	Log         *slog.Logger    // nil = nothing is logged
	Concurrency int             // operations whose code runs at once; 0 = 256. Others wait in the journal
	Drain       time.Duration   // how long steps may go on after Run's context is done; 0 = 20 s
	Retain      time.Duration   // how long operations that are Done are kept; 0 = 30 days
	// Strict makes every operation crash after each of its commits and begin again from the journal, so that tests
	// find code that does not fit its own journal.
	Strict bool
	// Enter is called when the code of an operation begins to run (step nil) and when an attempt of a step does. The
	// context that it returns is the one that code or step gets; done, if not nil, is called when it has ended.
	Enter func(ctx context.Context, r *Record, s *Step) (inner context.Context, done func(error))
}

// Engine runs operations. Safe for concurrent use.
type Engine struct {
	o      Options
	log    *slog.Logger
	codes  map[string]map[int]Code
	jitter func() float64

	mu      sync.Mutex
	state   state
	now     session // of running and draining
	lives   map[string]*live
	free    int  // of Concurrency
	backlog bool // something that is due was not started for want of room
	next    time.Time
	nudge   chan struct{} // look at what is due; capacity 1
	writer  *writer
	waiters *waiters
}

type state int

const (
	idle state = iota
	running
	draining
)

// session is what a Run has of its own.
type session struct {
	journal  Journal
	lease    Lease
	began    time.Time
	draining chan struct{} // closed when no step may begin any more
	spawn    func(*live, *Stored)
}

// New checks everything and starts nothing.
func New(codes []Code, o Options) (*Engine, error) {
	if o.Concurrency == 0 {
		o.Concurrency = 256
	}
	if o.Drain == 0 {
		o.Drain = 20 * time.Second
	}
	if o.Retain == 0 {
		o.Retain = DefaultRetain
	}
	if o.Recorder == nil {
		o.Recorder = ledger.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		o: o, log: o.Log, codes: make(map[string]map[int]Code), jitter: rand.Float64, nudge: make(chan struct{}, 1),
		lives: make(map[string]*live), free: o.Concurrency, waiters: newWaiters(),
	}
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("operation: "+format, args...))
		}
	}
	check(o.Worker != "", "Options.Worker is empty: name this worker, for example after the service")
	check(o.Concurrency > 0 && o.Drain > 0 && o.Retain > 0, "Options with Concurrency %d, Drain %v, Retain %v: want more than 0", o.Concurrency, o.Drain, o.Retain)
	for _, c := range codes {
		check(c.Address != "" && c.Version >= 1 && c.Timeout >= 0 && c.Run != nil,
			"code of %q, version %d: want an address, a version from 1, no negative timeout, and Run", c.Address, c.Version)
		if e.codes[c.Address] == nil {
			e.codes[c.Address] = make(map[int]Code)
		}
		_, twice := e.codes[c.Address][c.Version]
		check(!twice, "code of %q: version %d is there twice", c.Address, c.Version)
		e.codes[c.Address][c.Version] = c
	}
	return e, errors.Join(wrong...)
}

// Run opens the journal, takes over what is open in it, and works until ctx is done; then no step begins any more,
// those that run have Options.Drain to end, and the journal is closed. ready, if not nil, is called once when operations
// are accepted. It returns an error where going on is useless (the journal can't be opened, another worker took over).
// Run may be called again when it has returned, but not twice at once.
func (e *Engine) Run(ctx context.Context, open func(context.Context) (Journal, error), ready func(Lease)) error {
	j, err := open(ctx)
	if err != nil {
		return fmt.Errorf("operations of %s: cannot open the journal: %w", e.o.Worker, err)
	}
	lease, err := j.Register(ctx, e.o.Worker)
	if err != nil {
		return errors.Join(fmt.Errorf("operations of %s: cannot register at the journal: %w", e.o.Worker, err), j.Close())
	}
	base, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var lives, others sync.WaitGroup
	s := session{journal: j, lease: lease, began: clock(), draining: make(chan struct{})}
	s.spawn = func(l *live, s *Stored) { lives.Go(func() { l.loop(base, s) }) }
	if !e.begin(s) {
		return errors.Join(fmt.Errorf("operations of %s: the engine is running already", e.o.Worker), j.Close())
	}
	lost := make(chan struct{}) // closed by the writer
	flushing, giveUp := context.WithCancel(base)
	defer giveUp()
	written := make(chan struct{})
	go func() {
		defer close(written)
		e.writer.run(flushing, s, lost)
	}()
	others.Go(func() { e.wake(base, s) })
	if ready != nil {
		ready(lease)
	}
	select {
	case <-ctx.Done():
	case <-lost:
	}
	e.drain(lost, &lives, &others, func() {
		e.writer.close()
		late := time.AfterFunc(max(e.o.Drain/10, lastPause), giveUp) // a journal that is away now has until then
		<-written
		late.Stop()
	})
	err = j.Close()
	select {
	case <-lost:
		return errors.Join(fmt.Errorf("operations of %s: %w", e.o.Worker, ErrFenced), err)
	default:
		return err
	}
}

// errDrained is why the context of a step ends that goes on for longer than Options.Drain.
var errDrained = errors.New("the process stops, and the step has not ended in time")

// begin makes s the session, unless there is one.
func (e *Engine) begin(s session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != idle {
		return false
	}
	e.state, e.now, e.free, e.backlog, e.next = running, s, e.o.Concurrency, false, time.Time{}
	e.writer = newWriter(e.waiters.changed, e.log)
	return true
}

// drain ends the session: no step begins, what runs may end, and what is left to write is.
func (e *Engine) drain(lost <-chan struct{}, lives, others *sync.WaitGroup, flush func()) {
	e.mu.Lock()
	e.state = draining
	close(e.now.draining)
	e.mu.Unlock()
	fenced := func() bool {
		select {
		case <-lost:
			return true
		default:
			return false
		}
	}
	e.eachLive(func(l *live) { l.stop(fenced()) })
	over := make(chan struct{})
	go func() {
		defer close(over)
		lives.Wait()
		others.Wait()
	}()
	late := time.NewTimer(e.o.Drain)
	defer late.Stop()
	for patient := lost; ; {
		select {
		case <-over:
			flush()
			e.mu.Lock()
			defer e.mu.Unlock()
			e.state, e.lives = idle, make(map[string]*live)
			return
		case <-late.C:
			e.eachLive(func(l *live) { l.cutOff(errDrained) })
		case <-patient:
			e.eachLive(func(l *live) { l.stop(true) })
			patient = nil
		}
	}
}

// List answers operations without their steps, see [Filter].
func (e *Engine) List(ctx context.Context, f Filter) ([]Record, error) {
	s, err := e.session()
	if err != nil {
		return nil, err
	}
	list, err := s.journal.List(ctx, f)
	if err != nil {
		return nil, e.unreadable(err)
	}
	for i := range list { // the journal learns that one that had to wait for room runs when it has something to keep
		if r := &list[i]; r.Status == NotStarted {
			if status, ok := look(ctx, e, r.ID, func(m *machine) Status { return m.rec.Status }); ok {
				r.Status = status
			}
		}
	}
	return list, nil
}

// Healthy is nil, or says what is wrong with the journal now.
func (e *Engine) Healthy() error {
	e.mu.Lock()
	state, w := e.state, e.writer
	e.mu.Unlock()
	if state != running {
		return fmt.Errorf("operations of %s: not running", e.o.Worker)
	}
	if since, err := w.outage(); err != nil {
		return fmt.Errorf("operations of %s: the journal can't be written since %v: %w", e.o.Worker, since.Format(time.RFC3339), err)
	}
	return nil
}

// session is what is needed to work; an error while the engine does not.
func (e *Engine) session() (session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.state {
	case idle:
		return session{}, refusal("operations of %s: not running", e.o.Worker)
	case draining:
		return session{}, refusal("operations of %s: stopping, ask again soon", e.o.Worker)
	}
	return e.now, nil
}

func (e *Engine) unreadable(err error) error {
	return &transport.Error{Code: transport.Unavailable, NotSent: true, Message: "the journal of operations can't be read", Cause: err}
}

// code finds what runs an operation; missing says in words what is registered instead.
func (e *Engine) code(address string, version int) (c Code, missing string) {
	c, ok := e.codes[address][version]
	if ok {
		return c, ""
	}
	have := slices.Sorted(maps.Keys(e.codes[address]))
	if len(have) == 0 {
		return c, fmt.Sprintf("no code of %s is registered: register version %d of it", address, version)
	}
	return c, fmt.Sprintf("version %d of %s is not registered, there is: %s; register it beside", version, address,
		strings.Trim(strings.ReplaceAll(fmt.Sprint(have), " ", ", "), "[]"))
}

func (e *Engine) record(t ledger.Transition) { e.o.Recorder.Record(t, nil) }

// Request asks for an operation.
type Request struct {
	ID, Address string
	Input       []byte
	// Invalid, if not nil, is why the input does not fit: the operation is accepted and has Failed at once. It is for
	// requests that nobody waits for.
	Invalid                                    *transport.Error
	Source, Key, Correlation, Causation, Trace string
}

// KeyReused is the name of the error for an ID that another request has: code AlreadyExists.
const KeyReused = "parley.key-reused"

// WasCanceled is the name of the error of an operation that was canceled: code Canceled.
const WasCanceled = "parley.canceled"
