package operation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// settle decides what follows from the state.
func (m *machine) settle(now time.Time) {
	if m.over || m.code == absent {
		return
	}
	if d := m.rec.Deadline; m.end == goesOn && !d.IsZero() && !now.Before(d) {
		m.fail(&transport.Error{Code: transport.DeadlineExceeded, Message: fmt.Sprintf("not done within %v", d.Sub(m.rec.Created))})
	}
	for _, s := range slices.Clone(m.open) {
		m.advance(now, s)
	}
	m.answer()
	if m.code == gone && m.running == 0 {
		m.conclude(now)
	}
	m.rest(now)
}

// answer lets the code go on, or go.
func (m *machine) answer() {
	if m.code != asking {
		return
	}
	s := m.awaited
	told := s != nil && s.state == final && (m.end == goesOn || (m.end == fails || m.end == stops) && (s.had || s.Error == nil))
	switch {
	case told:
		m.fresh = m.fresh || !s.had
		m.goOn()
	case m.end != goesOn && m.running == 0:
		m.code, m.out.quit = leaving, true
	}
}

func (m *machine) goOn() { m.code, m.out.goOn = thinking, true }

// conclude decides what becomes of the operation whose code is gone.
func (m *machine) conclude(now time.Time) {
	done := m.result != nil && !m.cut && len(m.open) == 0
	switch {
	case m.end == dead || m.end == rests:
		m.over = true
	case done && (m.end == goesOn || m.end == fails || m.end == stops):
		m.rec.Output = *m.result
		m.finish(now, Succeeded)
	case m.end == fails:
		m.compensate(now)
	case m.end == stops, m.end == crashes:
		m.keepAll()
		m.over = true
	case m.end == parks:
		m.keepAll()
		if m.canceled == 0 { // otherwise somebody has just acted: the next run cancels, or parks for good
			m.rec.Status, m.rec.Parked, m.rec.WakeAt, m.dirty = Parked, m.trouble, Never, true
		}
		m.over = true
	}
}

func (m *machine) finish(now time.Time, s Status) {
	m.rec.Status, m.rec.Finished, m.rec.WakeAt, m.rec.Parked, m.dirty = s, now, time.Time{}, "", true
	kind, reason := ledger.Done, ""
	if s != Succeeded {
		kind, reason = ledger.Ended, m.rec.Error.Error()
	}
	m.note(now, m.ofOperation(kind, reason))
	m.over = true
}

// rest ends the run when all that it waits for takes long, and otherwise says when to look again.
func (m *machine) rest(now time.Time) {
	m.wake = time.Time{}
	if m.over || m.end > fails {
		return
	}
	at, until := now, Never
	still := m.running == 0 && m.coming == 0 && (m.code == asking || m.code == gone) && (m.canceled == 0 || m.end == fails)
	if !m.rec.Deadline.IsZero() && m.end == goesOn {
		until = m.rec.Deadline
	}
	for _, s := range m.open {
		if s.state != waiting {
			still = false
			continue
		}
		if !s.Next.IsZero() && s.Next.Before(until) {
			until = s.Next
		}
		far := !s.Next.Before(now.Add(shortly)) && s.Kind != KindSignal || s.Kind == KindSignal && m.crowded
		if late := s.since.Add(shortly); !far && late.After(at) {
			at = late
		}
	}
	if until.Before(Never) {
		m.wake = until
	}
	switch {
	case !still || len(m.open) == 0:
	case at.After(now):
		m.wake = at
		if until.Before(at) {
			m.wake = until
		}
	default:
		m.keepAll()
		m.rec.WakeAt, m.dirty, m.end, m.wake = until, true, rests, time.Time{}
		m.answer()
		m.over = m.code == gone
	}
}

// fail decides that the operation ends without success.
func (m *machine) fail(err *transport.Error) {
	m.end, m.failure, m.out.cancel = fails, err, err
	for _, s := range slices.Clone(m.open) {
		if s.state == waiting && s.works() {
			m.keep(s) // so that it is known to have begun
		}
		if s.state != runs {
			m.drop(s)
		}
	}
}

// drop gives up a step that the code asked for.
func (m *machine) drop(s *step) {
	m.cut = true
	m.close(s, off)
}

func (m *machine) close(s *step, state stepState) {
	s.state = state
	m.open = slices.DeleteFunc(m.open, func(x *step) bool { return x == s })
}

// misfit parks the operation, unless it is being undone: then what the code does matters only as far as undos are missing.
func (m *machine) misfit(words string) {
	m.trouble = cmp.Or(m.trouble, words)
	if m.rec.Error == nil {
		m.end = max(m.end, parks)
	}
}
