package operation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/ledger"
)

// undoAttempts is how often an undo is tried that fails for no transient reason.
const undoAttempts = 5

// compensate runs the undos one after the other, the last declared first, and then ends the operation.
func (m *machine) compensate(now time.Time) {
	if m.rec.Error == nil {
		m.rec.Error, m.rec.Undo, m.dirty = m.failure, m.due(), true
		if len(m.rec.Undo) > 0 {
			m.rec.Status = Compensating
		}
	}
	for _, name := range slices.Backward(m.rec.Undo) {
		s := m.undo(now, name)
		if s == nil {
			m.end = parks
			m.trouble = fmt.Sprintf("the code no longer declares the undo %q that has to run (%s)", name,
				cmp.Or(m.trouble, "it ended before"))
			m.conclude(now)
			return
		}
		if s.state != final {
			m.advance(now, s)
			return
		}
	}
	if m.rec.Error.Name == WasCanceled {
		m.finish(now, Canceled)
	} else {
		m.finish(now, Failed)
	}
}

// due are the undos that have to run, in the order of their declaration: those after which some step has begun, or may
// have.
func (m *machine) due() []string {
	last := 0
	for _, s := range m.steps {
		if s.works() && s.began {
			last = s.Seq
		}
	}
	return slices.DeleteFunc(slices.Clone(m.order), func(name string) bool { return m.undos[name] >= last })
}

// undo is the step that undoes; nil = neither the journal has its result nor the code has declared it.
func (m *machine) undo(now time.Time, name string) *step {
	if s := m.undoing[name]; s != nil {
		return s
	}
	key := "undo:" + name
	e, has := m.entries[key]
	_, declared := m.undos[name]
	if !e.Final() && !declared {
		return nil
	}
	s := &step{task: Task{Name: key, Kind: KindUndo}, since: now, after: m.barrier(), Entry: e}
	switch {
	case e.Final():
		s.state = final
	case has:
		s.state, s.kept = waiting, &e
		m.open = append(m.open, s)
	default:
		s.Entry = Entry{Seq: m.last() + 1, Key: key, Kind: KindUndo}
		m.open = append(m.open, s)
	}
	m.undoing[name] = s
	return s
}

// last is the highest Seq so far.
func (m *machine) last() int {
	n := len(m.steps)
	for _, e := range m.entries {
		n = max(n, e.Seq)
	}
	for _, s := range m.undoing {
		n = max(n, s.Seq)
	}
	return n
}

// undoFailed tries an undo again, or parks the operation with it.
func (m *machine) undoFailed(now time.Time, s *step, v verdict) {
	switch {
	case v.again:
		s.Attempt--
		m.later(now, s, ledger.Delayed, v)
	case v.retry && !v.final || s.Attempt < undoAttempts:
		m.later(now, s, ledger.Failed, v)
	default:
		s.Error, s.Next = v.err, time.Time{}
		m.keep(s)
		m.noteStep(now, ledger.Failed, s, v.err.Error())
		m.close(s, off)
		m.end = max(m.end, parks)
		m.trouble = fmt.Sprintf("%s has failed %d times, the last time with: %v; retry the operation when it can succeed",
			words(KindUndo, strings.TrimPrefix(s.Key, "undo:")), s.Attempt, v.err)
	}
}
