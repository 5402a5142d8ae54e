package operation

import (
	"fmt"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// admit gives the code's next question its place: a step with what the journal has of it, or nil where it doesn't fit.
func (m *machine) admit(now time.Time, t Task) *step {
	key, seq := t.Name, len(m.steps)+1
	if t.Numbered {
		m.counts[t.Name]++
		key = numbered(t.Name, m.counts[t.Name])
	}
	if words := m.difference(key, t.Kind, seq); words != "" {
		m.misfit(words)
		return nil
	}
	s := &step{task: t, since: now, Entry: Entry{Seq: seq, Key: key, Kind: t.Kind, Of: t.Attempts}}
	if e, ok := m.entries[key]; ok {
		s.Entry, s.began = e, true
		s.kept = &e
	} else {
		s.began = s.works() && !m.setting.Known && !m.fresh
	}
	m.steps = append(m.steps, s)
	m.keys[key] = s
	switch {
	case s.Final():
		s.state, s.had = final, true
	case m.end != goesOn:
		s.state, m.cut = off, true
	default:
		m.begin(now, s)
	}
	return s
}

// difference is what is wrong with a question, in words.
func (m *machine) difference(key, kind string, seq int) string {
	e, has := m.entries[key]
	there := m.places[seq]
	switch {
	case m.keys[key] != nil:
		return fmt.Sprintf("two steps are named %q: name them apart", key)
	case there != "" && there != key:
		return fmt.Sprintf("the code does not fit the journal: as number %d the journal has %s, the code asks for %s",
			seq, words(m.entries[there].Kind, there), words(kind, key))
	case has && e.Seq != seq:
		return fmt.Sprintf("the code does not fit the journal: the journal has %s as number %d, the code asks for it as number %d",
			words(e.Kind, key), e.Seq, seq)
	case has && e.Kind != kind:
		return fmt.Sprintf("the code does not fit the journal: as number %d the journal has %s, the code asks for %s",
			seq, words(e.Kind, key), words(kind, key))
	}
	return ""
}

// leftOver is what the journal has and the code, which has returned, did not ask for, in words.
func (m *machine) leftOver() string {
	first := 0
	for seq := range m.places {
		if seq > len(m.steps) && (first == 0 || seq < first) {
			first = seq
		}
	}
	if first == 0 {
		return ""
	}
	key := m.places[first]
	return fmt.Sprintf("the code does not fit the journal: as number %d the journal has %s, the code has returned after %d",
		first, words(m.entries[key].Kind, key), len(m.steps))
}

func words(kind, key string) string { return fmt.Sprintf("%s %q", kind, key) }

// works reports whether the step does something, and does not only wait.
func (s *step) works() bool { return s.Kind != KindSleep && s.Kind != KindSignal }

// limit is when Within is over; the zero time = never, or not known before it begins.
func (s *step) limit() time.Time {
	if s.task.Within <= 0 || s.Begun.IsZero() {
		return time.Time{}
	}
	return s.Begun.Add(s.task.Within)
}

// begin makes an admitted step wait for its turn, its time or its signal.
func (m *machine) begin(now time.Time, s *step) {
	m.open = append(m.open, s)
	s.after = m.barrier()
	if !s.Begun.IsZero() {
		s.state = waiting
		return
	}
	if s.works() {
		return
	}
	s.state, s.Begun = waiting, now
	if s.task.Within > 0 || s.Kind == KindSleep {
		s.Next = now.Add(s.task.Within)
	}
	m.recordStep(now, ledger.Received, s, "")
	if s.task.Within >= shortly { // the time goes on while the process is down
		m.keep(s)
	}
}

// advance lets a step begin, begin again, or end its wait.
func (m *machine) advance(now time.Time, s *step) {
	if s.state != asked && s.state != waiting || m.end != goesOn && (m.end != fails || s.Kind != KindUndo) {
		return
	}
	switch s.Kind {
	case KindSleep:
		if !now.Before(s.Next) {
			m.settled(now, s, nil, nil)
		}
		return
	case KindSignal:
		m.receive(now, s)
		return
	}
	if limit := s.limit(); !limit.IsZero() && !now.Before(limit) {
		m.settled(now, s, nil, overdue(s))
		return
	}
	if s.state == asked && m.saved < s.after || s.state == waiting && now.Before(s.Next) {
		return
	}
	s.state, s.began = runs, true
	s.Attempt++
	m.rec.Revision++ // it shows, although it is not written
	if s.Begun.IsZero() {
		s.Begun = now
	}
	m.running++
	m.out.begin = append(m.out.begin, s)
	m.recordStep(now, ledger.Received, s, "")
}

// receive ends the wait for a signal when it is there, or when it will not be in time.
func (m *machine) receive(now time.Time, s *step) {
	for _, g := range m.signals[s.task.signal()] {
		if numbered(s.task.Name, g.N) == s.Key && (s.Next.IsZero() || !g.At.After(s.Next)) {
			m.settled(now, s, g.Body, nil)
			m.note(now, m.ofSignal(ledger.Done, g))
			return
		}
	}
	if !s.Next.IsZero() && !now.Before(s.Next) {
		m.settled(now, s, nil, &transport.Error{Code: transport.DeadlineExceeded,
			Message: fmt.Sprintf("no signal %q came within %v", s.task.signal(), s.task.Within)})
	}
}

// judge decides what follows from the outcome of an attempt.
func (m *machine) judge(now time.Time, s *step, v verdict) {
	switch {
	case m.end == dead:
		m.drop(s)
	case v.unencodable:
		m.drop(s)
		m.misfit(fmt.Sprintf("the result of %s can't be kept: %v; it will be done again", words(s.Kind, s.Key), v.err))
		m.end = max(m.end, parks)
	case v.err == nil && !v.again:
		m.settled(now, s, v.output, nil)
	case m.end == stops:
		m.drop(s)
	case s.Kind == KindUndo:
		m.undoFailed(now, s, v)
	case m.end == fails:
		m.cutOff(now, s, v)
	case v.again:
		s.Attempt--
		m.later(now, s, ledger.Delayed, v)
	case !s.limit().IsZero() && !now.Before(s.limit()):
		s.Error = v.err
		m.settled(now, s, nil, overdue(s))
	case !v.final && (s.Of == 0 && v.retry || s.Attempt < s.Of):
		m.later(now, s, ledger.Failed, v)
	default:
		m.settled(now, s, nil, v.err)
	}
}

// settled gives a step its result, for ever.
func (m *machine) settled(now time.Time, s *step, output []byte, err *transport.Error) {
	s.Output, s.Error, s.Ended, s.Next = output, err, now, time.Time{}
	m.close(s, final)
	m.write(s)
	m.journals = m.flushes + 1
	if err == nil {
		m.noteStep(now, ledger.Done, s, "")
	} else {
		m.noteStep(now, ledger.Ended, s, err.Error())
	}
}

// later makes a step wait for its next attempt. A long wait is journaled, so that it survives with its count.
func (m *machine) later(now time.Time, s *step, kind ledger.Kind, v verdict) {
	wait := v.wait
	if !v.again {
		wait = max(wait, m.backoff(s.Attempt))
	}
	s.state, s.since, s.Error, s.Next = waiting, now, v.err, now.Add(wait)
	if limit := s.limit(); !limit.IsZero() && limit.Before(s.Next) {
		s.Next = limit
	}
	reason := ""
	if v.err != nil {
		reason = v.err.Error()
	}
	if wait < shortly {
		m.recordStep(now, kind, s, reason)
		return
	}
	m.keep(s)
	m.noteStep(now, kind, s, reason)
}

// cutOff ends a step whose context ended because the operation fails. What it came to is not known, so it gets no result.
func (m *machine) cutOff(now time.Time, s *step, v verdict) {
	s.Error, s.Next = v.err, time.Time{}
	m.keep(s)
	reason := m.failure.Error()
	if v.err != nil {
		reason = v.err.Error()
	}
	m.noteStep(now, ledger.Ended, s, reason)
	m.drop(s)
}

// backoff is 100 ms, doubled with each attempt up to 30 s, half of it by chance.
func (m *machine) backoff(attempt int) time.Duration {
	d := 30 * time.Second
	if attempt < 10 {
		d = min(d, 100*time.Millisecond<<max(attempt-1, 0))
	}
	return d/2 + time.Duration(m.setting.Jitter()*float64(d/2))
}

// keep writes what is known of a step that is not final, unless the journal has it.
func (m *machine) keep(s *step) {
	if k := s.kept; k != nil && k.Attempt == s.Attempt && k.Next.Equal(s.Next) && k.Begun.Equal(s.Begun) && (k.Error == nil) == (s.Error == nil) {
		return
	}
	m.write(s)
}

func (m *machine) keepAll() {
	for _, s := range m.open {
		if s.state == waiting {
			m.keep(s)
		}
	}
}

func (m *machine) write(s *step) {
	e := s.Entry
	s.kept = &e
	m.changes = append(m.changes, Change{Op: m.rec.ID, Entry: &e})
}

func overdue(s *step) *transport.Error {
	e := &transport.Error{Code: transport.DeadlineExceeded, Message: fmt.Sprintf("not done within %v", s.task.Within)}
	if s.Error != nil {
		e.Message += "; the last attempt: " + s.Error.Error()
	}
	return e
}
