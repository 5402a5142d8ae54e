package ledger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// part is what one receiver reported of a hop.
type part struct {
	group string
	marks []mark // by time
}

// parts divides a hop's marks among its receivers, by name; expected groups that reported nothing have none. All but
// events have one receiver, whatever it is called by those who report.
func (h *hop) parts() []part {
	switch text(h.style) {
	case StyleOperation, StyleSignal:
		own := uncarried(h.marks)
		return []part{{group: h.single(own), marks: own}}
	case StyleEvent, "":
	default:
		return []part{{group: h.single(h.marks), marks: h.marks}}
	}
	byGroup := make(map[string][]mark)
	for _, g := range h.groups() {
		byGroup[g] = nil
	}
	for _, m := range h.marks {
		g := text(m.group)
		byGroup[g] = append(byGroup[g], m)
	}
	parts := make([]part, 0, len(byGroup))
	for g, marks := range byGroup {
		parts = append(parts, part{g, marks})
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.group, b.group) })
	return parts
}

// uncarried are the marks of an operation or a signal itself: what became of the requests for it, of which there can
// have been several, counts only as long as it has not been heard of.
func uncarried(marks []mark) []mark {
	var own, requests []mark
	for _, m := range marks {
		switch {
		case m.is(Received, Done, Ended):
			own = append(own, m)
		case !m.is(Called, Answered):
			requests = append(requests, m)
		}
	}
	if len(own) > 0 {
		return own
	}
	return requests
}

// single is the name of the only receiver, which reported marks: as it was named last, else as it was expected, else
// the service where it was received.
func (h *hop) single(marks []mark) string {
	service := ""
	for i := range slices.Backward(marks) {
		m := &marks[i]
		if g := text(m.group); g != "" {
			return g
		}
		if service == "" && m.is(Received, Done, Failed, Ended) {
			service = m.place.Value().service
		}
	}
	if groups := h.groups(); len(groups) > 0 {
		return groups[0]
	}
	return service
}

// receiver shows one receiver's part.
func (b *trailer) receiver(h *hop, p part) Receiver {
	for i := range p.marks {
		b.took(p.marks[i].place.Value())
	}
	r := Receiver{Group: p.group, State: Waiting}
	calls := slices.ContainsFunc(p.marks, func(m mark) bool { return m.is(Called, Answered) })
	var tries []try
	if style := text(h.style); style == StyleOperation || style == StyleStep {
		tries = runs(p.marks)
	} else {
		tries = attempts(p.marks, calls)
	}
	r.Attempts = make([]Attempt, len(tries))
	for i := range tries {
		r.Attempts[i] = tries[i].shown(i + 1)
	}
	if calls {
		serve(r.Attempts, p.marks)
	}
	marks := p.marks
	if carried(text(h.style)) {
		marks = h.marks // also those of the requests
	}
	r.Redriven = redrives(marks, r.Attempts, tries)
	b.state(h, p, &r, calls)
	if !r.State.Final() && b.abandoned(h) {
		r.State, r.Next = Abandoned, time.Time{}
	}
	if n := len(tries); n > 0 {
		// Attempts are counted anew after a redrive and after a crash; what is left to the last one is left to all.
		if last := tries[n-1]; last.attempts >= last.attempt && last.attempts > 0 {
			r.Of = n + int(last.attempts-last.attempt)
		}
	}
	return r
}

// try is an attempt: a beginning, an end, or both.
type try struct {
	mark           // the beginning, else the end
	began    int64 // nanoseconds
	duration int64 // 0 = not known to have ended
	ended    bool
	outcome  string // the end's reason
}

// attempts pairs beginnings with ends of the same copy, number and place, by time.
func attempts(marks []mark, calls bool) []try {
	begin, end := []Kind{Received}, []Kind{Done, Failed}
	if calls {
		begin, end = []Kind{Called}, []Kind{Answered}
	}
	var tries []try
	for _, m := range marks {
		switch {
		case m.is(begin...):
			tries = append(tries, try{mark: m, began: m.at})
		case m.is(end...):
			t := (*try)(nil)
			for i := range slices.Backward(tries) {
				o := &tries[i]
				if !o.ended && o.copy == m.copy && o.attempt == m.attempt && o.place == m.place {
					t = o
					break
				}
			}
			if t == nil {
				tries = append(tries, try{mark: m, began: m.at - m.took})
				t = &tries[len(tries)-1]
			}
			t.end(&m)
		}
	}
	slices.SortStableFunc(tries, func(a, b try) int { return cmp.Compare(a.began, b.began) })
	return tries
}

// runs are the attempts of an operation or a step: one after another, so that an end is that of the latest beginning,
// also from another process, because a wait goes on while there is none. One that waits to be tried again can end
// without another attempt.
func runs(marks []mark) []try {
	var tries []try
	for _, m := range marks {
		n := len(tries)
		switch {
		case m.is(Received):
			tries = append(tries, try{mark: m, began: m.at})
		case n > 0 && !tries[n-1].ended && m.is(Done, Failed, Delayed, Ended):
			tries[n-1].end(&m)
		case n == 0 && m.attempt > 0 && m.is(Done, Failed, Ended):
			tries = append(tries, try{mark: m, began: m.at - m.took})
			tries[0].end(&m)
		}
	}
	return tries
}

// notYet is the outcome of an attempt that is to be tried again for no other reason.
const notYet = "not yet"

func (t *try) end(m *mark) {
	t.ended, t.outcome, t.duration = true, m.reason(), cmp.Or(m.took, max(m.at-t.began, 1))
	t.attempts = max(t.attempts, m.attempts)
	if m.is(Delayed) {
		t.outcome = cmp.Or(t.outcome, notYet)
	}
}

func (t *try) shown(number int) Attempt {
	return Attempt{
		Number: number, Copy: text(t.copy), Instance: t.place.Value().instance,
		Began: at(t.began), Took: time.Duration(t.duration), Error: t.outcome,
	}
}

// serve gives the attempts of a call, which the caller reported, the instances that answered them.
func serve(shown []Attempt, marks []mark) {
	for i := range shown {
		shown[i].Instance = ""
	}
	n := 0
	for i := range marks {
		if marks[i].is(Received) && n < len(shown) {
			shown[n].Instance = marks[i].place.Value().instance
			n++
		}
	}
}

// redrives counts them, and tells the first attempt of each who did it.
func redrives(marks []mark, shown []Attempt, tries []try) int {
	by := make(map[int]string)
	for i := range marks {
		if marks[i].is(Redriven) {
			by[round(text(marks[i].copy))] = marks[i].by()
		}
	}
	for i := range tries {
		r := round(shown[i].Copy)
		if who, ok := by[r]; ok && (i == 0 || round(shown[i-1].Copy) != r) {
			shown[i].By = who
		}
	}
	return len(by)
}

// round is how many redrives led to a copy: 2 for "r2" and "r2a4".
func round(name string) int {
	digits, ok := strings.CutPrefix(name, "r")
	if !ok {
		return 0
	}
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// state finds where the receiver is: what it reached since the last redrive, else what it did last.
func (b *trailer) state(h *hop, p part, r *Receiver, calls bool) {
	last := 0
	for i := range p.marks {
		last = max(last, round(text(p.marks[i].copy)))
	}
	var latest *mark
	final := map[kind]*mark{}
	for i := range p.marks {
		m := &p.marks[i]
		if round(text(m.copy)) != last || m.is(Redriven) || calls && !m.is(Called, Answered, Delayed) {
			continue
		}
		latest, final[m.kind] = m, m
	}
	if latest == nil {
		return
	}
	for _, f := range []struct {
		kind  Kind
		state State
	}{{Done, Handled}, {Ended, Unsuccessful}, {DeadLettered, DeadLetter}, {Expired, TooLate}, {Filtered, Unwanted}} {
		k, _ := kindOf(f.kind)
		if m := final[k]; m != nil {
			r.State, r.Reason = f.state, m.reason()
			return
		}
	}
	k, _ := kindOf(Answered)
	for i := range p.marks { // of parallel attempts, one good answer is enough
		if m := &p.marks[i]; m.kind == k && m.reason() == "" {
			r.State = Handled
			return
		}
	}
	switch kinds[latest.kind] {
	case Received, Called:
		r.State, r.Next = b.running(h, p, latest), at(latest.until())
	case Failed, Delayed:
		r.State, r.Next = Retrying, at(latest.until())
		if style := text(h.style); latest.is(Delayed) && (style == StyleCommand || style == StyleEvent) {
			r.Reason = latest.reason()
		}
	case Answered:
		r.State, r.Reason = Unsuccessful, latest.reason()
	}
}

// running is the state of an attempt that has begun and not ended: its process may have.
func (b *trailer) running(h *hop, p part, m *mark) State {
	where := m.place.Value()
	ended := b.x.processes[where.process]
	gone, lost := b.x.gone[where.instance]
	switch {
	case ended != nil && !ended.ended.IsZero():
	case lost && !at(m.at).After(gone):
		if text(h.style) == StyleStep {
			break // its operation was cut off in the same moment
		}
		b.gapf("%s: %s ended without a word at %s, in the middle of attempt %d of %s", h.id, where.instance, when(gone), m.attempt, cmp.Or(p.group, "its receiver"))
	default:
		return Running
	}
	if m.is(Called) {
		return Unsuccessful // nobody waits for the answer any more
	}
	return Waiting // the broker delivers it again, or the operation is taken up again
}

// abandoned reports whether h, if it has not come to an end by itself, has none to come: it is a step, a signal or a
// call whose operation, or step of one, is over.
func (b *trailer) abandoned(h *hop) bool {
	if style := text(h.style); style != StyleStep && style != StyleSignal && style != StyleCall {
		return false
	}
	for range 2 { // a call, the step that made it, the operation
		if h = b.x.hops[h.causation]; h == nil || text(h.style) != StyleStep && text(h.style) != StyleOperation {
			return false
		}
		if h.ended() {
			return true
		}
	}
	return false
}
