package operation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// shortly is up to where a wait stays in memory: what takes longer costs a row and no goroutine.
const shortly = time.Second

// machine decides what happens to one operation during one run of its code. It does no I/O, reads no clock and starts
// no goroutine. It is told what has happened (the code asks for a step, an attempt has ended, a write is durable, a
// signal came, time has passed), and after each of that it tells in orders what is to be done now, in flush what is to
// be written, and in wake when it wants to be told the time.
//
// All decisions are in settle, which looks at the state and not at what has just happened: whatever the order of
// events, the same state leads to the same orders.
//
// The rules that it keeps:
//   - what the journal has is answered and never done again;
//   - a step begins when every result that came before is durable;
//   - once an ending is decided no step begins any more, but undos;
//   - of what ends after that only success is journaled as the end of a step;
//   - the operation is over when its code is gone and no attempt runs.
type machine struct {
	setting setting
	rec     Record
	entries map[string]Entry    // what the journal had when this run began
	places  map[int]string      // their keys by Seq, without undos
	signals map[string][]Signal // by name, then N

	steps  []*step // what the code asked for; its place is Seq-1
	keys   map[string]*step
	counts map[string]int // of the numbered names
	open   []*step        // those that are not over, undos too
	fresh  bool           // the code has a result that no run before had in the journal: what it asks for now never began
	cut    bool           // some step that the code asked for will not get its result

	undos   map[string]int // declared: how many steps had been asked for then
	order   []string       // of the declarations
	undoing map[string]*step

	code    codeState
	crowded bool  // others wait for room to run: also waits for signals rest at once
	awaited *step // what the code waits for
	running int   // attempts

	end     ending
	failure *transport.Error // of fails
	trouble string           // of parks
	result  *[]byte          // the code returned it
	over    bool             // nothing happens any more; what has to be written is decided

	changes  []Change // to be written, without the record
	notes    []ledger.Transition
	dirty    bool // the record has changed, more than by its Revision
	flushes  int  // handed out
	saved    int  // durable
	journals int  // strict: the flush that has the latest result; 0 = none
	canceled int  // the flush that has the wish to cancel; 0 = none
	coming   int  // signals that are being written

	out  orders
	wake time.Time // when to settle again at the latest; zero = not for a time
}

// setting is what a machine has to know beside the operation.
type setting struct {
	Service string
	// Known says that whatever has begun so far is in the journal: the operation is new, or its run before ended in order.
	Known  bool
	Strict bool
	Jitter func() float64 // 0 ≤ x < 1
}

// orders are what is to be done now.
type orders struct {
	begin  []*step // an attempt of each begins
	goOn   bool    // the code has its answer
	quit   bool    // the goroutine of the code, which waits, ends
	cancel error   // the contexts of all attempts that run end, for this cause
	record []ledger.Transition
}

type codeState int

const (
	absent   codeState = iota // not started
	thinking                  // between two questions
	asking                    // it waits for an answer
	leaving                   // told to quit
	gone
)

// ending is why no step begins any more. A higher one wins.
type ending int

const (
	goesOn  ending = iota
	fails          // undo, then Failed or Canceled
	crashes        // strict: begin again from the journal
	rests          // everything takes long: begin again when something happens
	parks          // Parked
	stops          // the process ends; the operation stays open in the journal
	dead           // another worker has taken over: nothing may be written
)

// step is one thing that the code asked for, or an undo.
type step struct {
	Entry
	task  Task
	state stepState
	began bool // an attempt has begun, or may have in a run before
	had   bool // the journal had its result when this run began
	after int  // the flush that must be durable before it begins
	since time.Time
	kept  *Entry // what the journal has of it, not final
}

type stepState int

const (
	asked   stepState = iota // to begin as soon as it may
	runs                     // an attempt runs
	waiting                  // for Next, or a signal
	final
	off // will not come to a result in this run
)

func newMachine(s Stored, o setting) *machine {
	m := &machine{
		setting: o, rec: s.Record, fresh: o.Known && len(s.Entries) == 0,
		entries: make(map[string]Entry, len(s.Entries)), places: make(map[int]string, len(s.Entries)),
		signals: make(map[string][]Signal), keys: make(map[string]*step), counts: make(map[string]int),
		undos: make(map[string]int), undoing: make(map[string]*step),
	}
	for _, e := range s.Entries {
		m.entries[e.Key] = e
		if e.Kind != KindUndo {
			m.places[e.Seq] = e.Key
		}
	}
	for _, g := range s.Signals {
		m.signals[g.Name] = append(m.signals[g.Name], g)
	}
	switch {
	case m.rec.Error != nil:
		m.end, m.failure = fails, m.rec.Error
	case m.rec.Cancel != "":
		m.fail(wasCanceled(m.rec.Cancel))
	}
	return m
}

// start says that the code runs now.
func (m *machine) start(now time.Time) {
	m.code = thinking
	m.settle(now)
}

// ask says that the code asks for a step, and whether it waits for its result. Answered with goOn or quit; the step is
// nil if it does not fit.
func (m *machine) ask(now time.Time, t Task, wait bool) *step {
	m.code, m.awaited = asking, nil
	var s *step
	if m.end <= fails || m.end == stops {
		s = m.admit(now, t)
	}
	switch {
	case s == nil:
	case wait:
		m.awaited = s
	case m.end == goesOn || s.began: // what may have begun is followed by what may have begun too
		m.goOn()
	}
	m.settle(now)
	return s
}

// await says that the code waits for a step that it asked for. Answered with goOn or quit.
func (m *machine) await(now time.Time, s *step) {
	m.code, m.awaited = asking, s
	m.settle(now)
}

// declare says that the code has declared an undo. Answered with goOn or quit.
func (m *machine) declare(now time.Time, name string) {
	m.code, m.awaited = asking, nil
	if _, twice := m.undos[name]; twice {
		m.misfit(fmt.Sprintf("two undos are named %q: name them apart", name))
	} else {
		m.undos[name] = len(m.steps)
		m.order = append(m.order, name)
		m.goOn()
	}
	m.settle(now)
}

// returned says that the code has returned.
func (m *machine) returned(now time.Time, output []byte, err error) {
	m.code = gone
	if m.end == goesOn || (m.end == fails || m.end == stops) && m.rec.Error == nil {
		switch words := m.leftOver(); {
		case words != "":
			m.misfit(words)
		case err == nil:
			m.result = &output
		case judge(nil, err).unencodable:
			m.misfit(fmt.Sprintf("the result of the operation can't be kept: %v", kept(err)))
		case m.end == goesOn:
			m.fail(kept(err))
		}
	}
	m.settle(now)
}

// exited says that the code has ended without returning; trouble is why, unless it was told to.
func (m *machine) exited(now time.Time, trouble string) {
	m.code = gone
	if trouble != "" {
		m.misfit(trouble)
	}
	m.settle(now)
}

// attempted says what an attempt has come to.
func (m *machine) attempted(now time.Time, s *step, v verdict) {
	m.running--
	m.judge(now, s, v)
	m.settle(now)
}

// durable says that the flushes up to n are.
func (m *machine) durable(now time.Time, n int) {
	m.saved = max(m.saved, n)
	if m.canceled > 0 && m.saved >= m.canceled && m.end == goesOn {
		m.fail(wasCanceled(m.rec.Cancel))
	}
	if m.setting.Strict && m.journals > 0 && m.saved >= m.journals {
		m.end = max(m.end, crashes)
	}
	m.settle(now)
}

// tell notes a signal that is to be written. An operation that rests is woken by the same write.
func (m *machine) tell(now time.Time, g Signal) {
	m.changes, m.dirty = append(m.changes, Change{Op: m.rec.ID, Signal: &g}), true
	m.coming++
	if m.rec.WakeAt.After(now) && m.rec.Status != Parked && m.rec.Error == nil {
		m.rec.WakeAt = time.Time{}
	}
}

// signaled says that a signal is durable.
func (m *machine) signaled(now time.Time, g Signal) {
	m.coming--
	if list := m.signals[g.Name]; !slices.ContainsFunc(list, func(x Signal) bool { return x.N == g.N }) {
		m.signals[g.Name] = append(list, g)
	}
	m.settle(now)
}

// wish notes that somebody wants to cancel; it counts once it is durable.
func (m *machine) wish(reason string) {
	if m.rec.Status.Done() || m.rec.Error != nil || m.rec.Cancel != "" {
		return
	}
	m.rec.Cancel, m.rec.Status, m.rec.Parked, m.rec.WakeAt = cmp.Or(reason, "no reason was given"), Canceling, "", time.Time{}
	m.dirty, m.canceled = true, m.flushes+1
}

// retry notes that a parked operation is to be tried again.
func (m *machine) retry() {
	switch {
	case m.rec.Error != nil:
		m.rec.Status = Compensating
	case m.rec.Cancel != "":
		m.rec.Status = Canceling
	default:
		m.rec.Status = Running
	}
	m.rec.Parked, m.rec.WakeAt, m.dirty = "", time.Time{}, true
}

// stop says that no step may begin any more, because the process ends or (lost) another worker has taken over.
func (m *machine) stop(now time.Time, lost bool) {
	m.end = max(m.end, stops)
	if lost {
		m.end = dead
		m.changes, m.notes, m.dirty = nil, nil, false
	}
	m.settle(now)
}

// has reports whether a signal is there already.
func (m *machine) has(g Signal) bool {
	return slices.ContainsFunc(m.signals[g.Name], func(x Signal) bool { return x.ID == g.ID })
}

// orders are what has to be done now; asking for them again gives none.
func (m *machine) orders() orders {
	o := m.out
	m.out = orders{}
	return o
}

// flush is what has to be written, and its number; 0 = nothing. notes are for the ledger, once it is durable.
func (m *machine) flush(now time.Time) (n int, changes []Change, notes []ledger.Transition) {
	if !m.unsaved() {
		return 0, nil, nil
	}
	m.rec.Revision++
	m.rec.Updated = now
	if m.rec.Status == NotStarted {
		m.rec.Status, m.dirty = Running, true // it had to wait for room
	}
	if m.dirty {
		rec := m.rec
		m.changes = append(m.changes, Change{Op: rec.ID, Update: &rec})
	}
	changes, notes = m.changes, m.notes
	m.changes, m.notes, m.dirty = nil, nil, false
	m.flushes++
	return m.flushes, changes, notes
}

// revision is that of what is durable.
func (m *machine) revision() int64 { return m.rec.Revision - int64(m.flushes-m.saved) }

func (m *machine) unsaved() bool { return m.dirty || len(m.changes) > 0 }

// barrier is the flush that has everything that was decided so far.
func (m *machine) barrier() int {
	if m.unsaved() {
		return m.flushes + 1
	}
	return m.flushes
}

// stored is the operation as it is when everything that was handed out is durable.
func (m *machine) stored() Stored {
	s := Stored{Record: m.rec}
	entries := maps.Clone(m.entries)
	for _, x := range m.steps {
		if x.kept != nil {
			entries[x.Key] = *x.kept
		}
	}
	for _, x := range m.undoing {
		if x.kept != nil {
			entries[x.Key] = *x.kept
		}
	}
	s.Entries = slices.SortedFunc(maps.Values(entries), func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, name := range slices.Sorted(maps.Keys(m.signals)) {
		s.Signals = append(s.Signals, m.signals[name]...)
	}
	return s
}

// active are the steps that are not over, by Seq.
func (m *machine) active() []Active {
	var list []Active
	for _, s := range m.open {
		list = append(list, Active{Entry: s.Entry, Running: s.state == runs})
	}
	slices.SortFunc(list, func(a, b Active) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}

func wasCanceled(reason string) *transport.Error {
	return &transport.Error{Code: transport.Canceled, Name: WasCanceled, Message: reason}
}

func numbered(name string, n int) string { return name + "#" + strconv.Itoa(n) }
