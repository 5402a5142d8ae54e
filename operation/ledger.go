package operation

import (
	"cmp"
	"strings"
	"time"

	"github.com/parley-io/parley/ledger"
)

// recordStep has a transition of a step recorded at once, noteStep when what was written with it is durable.
func (m *machine) recordStep(now time.Time, k ledger.Kind, s *step, reason string) {
	if !s.task.Silent {
		m.out.record = append(m.out.record, m.ofStep(now, k, s, reason))
	}
}

func (m *machine) noteStep(now time.Time, k ledger.Kind, s *step, reason string) {
	if !s.task.Silent {
		m.note(now, m.ofStep(now, k, s, reason))
	}
}

func (m *machine) note(now time.Time, t ledger.Transition) {
	t.At = now
	m.notes = append(m.notes, t)
}

func (m *machine) ofStep(now time.Time, k ledger.Kind, s *step, reason string) ledger.Transition {
	name, _, _ := strings.Cut(s.Key, "#")
	t := ledger.Transition{
		At: now, Kind: k, Style: ledger.StyleStep, ID: StepID(m.rec.ID, s.Key), Address: m.rec.Address + "/" + name,
		Key: m.rec.Key, Correlation: story(&m.rec), Causation: m.rec.ID, Trace: m.rec.Trace, Source: m.setting.Service,
		Group: m.setting.Service, Attempt: max(s.Attempt, 1), Attempts: s.Of, Reason: reason,
	}
	if k == ledger.Failed || k == ledger.Delayed || k == ledger.Received && !s.works() {
		t.Until = s.Next
	}
	return t
}

func (m *machine) ofOperation(k ledger.Kind, reason string) ledger.Transition {
	return ofOperation(k, &m.rec, reason)
}

func (m *machine) ofSignal(k ledger.Kind, g Signal) ledger.Transition {
	return ledger.Transition{
		Kind: k, Style: ledger.StyleSignal, ID: g.ID, Address: m.rec.Address + "/" + g.Name, Key: m.rec.Key,
		Correlation: story(&m.rec), Causation: m.rec.ID, Trace: m.rec.Trace, Source: g.Source, Group: m.rec.Address, Attempt: 1,
	}
}

func ofOperation(k ledger.Kind, r *Record, reason string) ledger.Transition {
	return ledger.Transition{
		Kind: k, Style: ledger.StyleOperation, ID: r.ID, Address: r.Address, Key: r.Key, Correlation: story(r),
		Causation: r.Causation, Trace: r.Trace, Source: r.Source, Group: r.Address, Reason: reason,
	}
}

// story is the correlation of everything that an operation does.
func story(r *Record) string { return cmp.Or(r.Correlation, r.ID) }

// signal is the name of the signal that a wait is for.
func (t *Task) signal() string { return strings.TrimPrefix(t.Name, "signal:") }
