package operation

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/parley-io/parley/ledger"
)

// patience is how long a result is held for the code's next question or its end, to be written together with it.
const patience = time.Millisecond

// live is an operation in the memory of this process. Its goroutine, see loop, owns the machine; the code, the attempts,
// the writer and callers tell it what happens by post. It never blocks but for reading the journal, and ends when the
// operation has nothing to do here and all of it is durable.
type live struct {
	e       *Engine
	session session
	writer  *writer
	id      string
	slot    bool // of Concurrency; guarded by Engine.mu
	born    bool // it was accepted by this process, and has not run before

	mu    sync.Mutex
	inbox []func(now time.Time)
	ended bool
	bell  chan struct{} // rings when the inbox is not empty; capacity 1

	// Of the goroutine alone.
	m        *machine // nil = there is no such operation
	run      *Run
	undos    map[string]Task
	cancels  map[*step]context.CancelCauseFunc // of attempts that run
	abandon  context.CancelCauseFunc           // of the code and all that derives from it
	work     sync.WaitGroup                    // the code and the attempts
	held     time.Time                         // when what is held must be written; zero = nothing is
	ran      bool                              // some run has begun here
	stopping bool
}

// post has event called by the goroutine of l, soon and in order. It never blocks; false = too late, l has ended.
func (l *live) post(event func(now time.Time)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.inbox = append(l.inbox, event)
	select {
	case l.bell <- struct{}{}:
	default:
	}
	return true
}

// loop runs the operation, again where it has to. s is what the journal has; nil = to be read.
func (l *live) loop(ctx context.Context, s *Stored) {
	defer l.work.Wait()
	known := l.born
	for {
		if s == nil {
			s = l.read(ctx)
		}
		l.m = nil
		if s != nil {
			if !known { // what an earlier process has shown may be newer than what it has kept
				s.Revision = max(s.Revision, l.session.lease.Epoch*1_000_000)
			}
			l.m = newMachine(*s, setting{Service: l.e.o.Service, Known: known, Strict: l.e.o.Strict, Jitter: l.e.jitter})
		}
		if l.live(ctx) {
			return
		}
		known = l.m.end == crashes || l.m.end == rests
		s = nil
	}
}

// read gets the operation from the journal; nil = there is none, or (stopping) the process stops first.
func (l *live) read(ctx context.Context) *Stored {
	for wait := firstPause; ; wait = min(2*wait, lastPause) {
		found, err := l.session.journal.Load(ctx, l.id)
		switch {
		case err == nil && len(found) == 0:
			return nil
		case err == nil:
			return &found[0]
		case !l.session.pause(wait):
			l.stopping = true
			return nil
		}
	}
}

// live runs one machine, until it is over (false: another one has to be) or nothing is left to do here (true).
func (l *live) live(ctx context.Context) (done bool) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer l.leave()
	for {
		now := clock()
		if l.m != nil {
			l.m.crowded = l.e.crowded()
		}
		for _, event := range l.take() {
			event(now)
			l.obey()
		}
		if l.m != nil && l.m.code != absent {
			l.m.settle(now)
			l.obey()
		}
		due := l.begin(ctx, now)
		l.save(now)
		if l.m == nil || l.stopping && (l.m.over || l.m.code == absent) {
			if l.e.remove(l) {
				return true
			}
		} else if l.m.saved == l.m.flushes && l.held.IsZero() && (l.m.over || l.m.code == absent) {
			if l.m.over && due {
				return false
			}
			if l.e.remove(l) {
				return true
			}
		}
		timer.Reset(l.next(now))
		select {
		case <-l.bell:
		case <-timer.C:
		}
	}
}

// next is how long nothing has to be done unless something happens.
func (l *live) next(now time.Time) time.Duration {
	at := now.Add(time.Hour)
	if l.m != nil && !l.m.wake.IsZero() && l.m.wake.Before(at) {
		at = l.m.wake
	}
	if !l.held.IsZero() && l.held.Before(at) {
		at = l.held
	}
	return at.Sub(now)
}

func (l *live) take() []func(time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.inbox
	l.inbox = nil
	return events
}

// begin starts the code if it is due and may run. It reports whether it is due.
func (l *live) begin(ctx context.Context, now time.Time) (due bool) {
	m := l.m
	if m == nil || l.stopping || m.rec.Status.Done() || m.rec.Status == Parked || m.rec.WakeAt.After(now) {
		return false
	}
	if m.code != absent {
		return true
	}
	if m.saved < m.flushes || m.unsaved() || !l.e.occupy(l) {
		return false
	}
	l.received(now)
	l.undos, l.cancels = make(map[string]Task), make(map[*step]context.CancelCauseFunc)
	rec := m.rec
	l.run = &Run{live: l, rec: &rec, answer: make(chan bool, 1)}
	code, missing := l.e.code(rec.Address, rec.Version)
	m.start(now)
	if missing != "" {
		m.exited(now, missing)
		return true
	}
	var inner context.Context
	inner, l.abandon = context.WithCancelCause(ctx)
	r := l.run
	l.work.Go(func() { l.execute(inner, r, code) })
	return true
}

// received records that this process begins to work on the operation: after its acceptance, or after another process was
// cut off.
func (l *live) received(now time.Time) {
	rec := &l.m.rec
	if !l.ran && rec.WakeAt.IsZero() {
		t := ofOperation(ledger.Received, rec, "")
		t.At, t.Attempt = now, 1
		if rec.Created.Before(l.session.began) { // by an earlier process: numbered by the epochs, which only rise
			t.Attempt = int(max(2, l.session.lease.Epoch))
		}
		if t.Attempt == 1 && len(l.m.entries) == 0 || rec.Updated.Before(l.session.began) {
			l.e.record(t)
		}
	}
	l.ran = true
}

// leave frees what a run has used.
func (l *live) leave() {
	if l.abandon != nil {
		l.abandon(errors.New("this run of the operation is over"))
		l.abandon = nil
	}
}

// obey does what the machine orders.
func (l *live) obey() {
	if l.m == nil {
		return
	}
	o := l.m.orders()
	for _, t := range o.record {
		l.e.record(t)
	}
	if o.cancel != nil {
		for _, cancel := range l.cancels {
			cancel(o.cancel)
		}
	}
	for _, s := range o.begin {
		l.attempt(s)
	}
	if len(o.begin) > 0 {
		l.e.waiters.changed(l.id, false)
	}
	if o.goOn || o.quit {
		l.run.answer <- o.goOn
	}
}

// save writes what has to be, unless the code is about to add to it.
func (l *live) save(now time.Time) {
	if l.m == nil || !l.m.unsaved() {
		l.held = time.Time{}
		return
	}
	if l.m.code == thinking && (l.held.IsZero() || now.Before(l.held)) {
		if l.held.IsZero() {
			l.held = now.Add(patience)
		}
		return
	}
	l.flush(now, nil)
}

// confirm has then called when everything so far is durable.
func (l *live) confirm(now time.Time, then func(error)) {
	if l.m.unsaved() {
		l.flush(now, func(_ []Outcome, err error) { then(err) })
		return
	}
	l.writer.submit(nil, func(_ []Outcome, err error) { then(err) })
}

// flush writes what has to be; then, if not nil, is called once with the outcome, by the writer.
func (l *live) flush(now time.Time, then func([]Outcome, error)) {
	l.held = time.Time{}
	m := l.m
	n, changes, notes := m.flush(now)
	if n == 0 {
		return
	}
	var end *Snapshot
	if m.rec.Status.Done() && m.coming == 0 && l.e.waiters.waited(l.id) {
		end = &Snapshot{Stored: m.stored()}
	}
	l.writer.submit(changes, func(outcomes []Outcome, err error) {
		if err == nil && end != nil {
			l.e.waiters.ended(end)
		}
		if err == nil {
			for _, t := range notes {
				l.e.record(t)
			}
		}
		if then != nil {
			then(outcomes, err)
		}
		if err == nil {
			l.post(func(now time.Time) { l.durable(now, m, n, changes, outcomes) })
		}
	})
}

func (l *live) durable(now time.Time, m *machine, n int, changes []Change, outcomes []Outcome) {
	for i, c := range changes {
		if c.Signal == nil {
			continue
		}
		g := *c.Signal
		g.N = outcomes[i].N
		if !outcomes[i].Ignored {
			t := m.ofSignal(ledger.Accepted, g)
			t.At, t.Expected = g.At, []string{m.rec.Address}
			l.e.record(t)
		}
		m.signaled(now, g)
	}
	m.durable(now, n)
}

// stop has the run end: lost at once, because another worker has taken over; otherwise what runs may end.
func (l *live) stop(lost bool) {
	l.post(func(now time.Time) {
		l.stopping = true
		if l.m != nil {
			l.m.stop(now, lost)
		}
	})
	if lost {
		l.cutOff(ErrFenced)
	}
}

// cutOff ends the contexts of everything that runs.
func (l *live) cutOff(cause error) {
	l.post(func(time.Time) {
		for _, cancel := range l.cancels {
			cancel(cause)
		}
		if l.abandon != nil {
			l.abandon(cause)
		}
	})
}

// clock is the time as the journal keeps it.
func clock() time.Time { return time.Now().UTC().Round(0) }
