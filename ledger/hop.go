package ledger

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unique"
)

// hop is what is kept of one message, call, operation, step or signal: a set of facts, from which a Hop is made when
// somebody asks. Its fields do not depend on the order in which transitions came.
type hop struct {
	id        string
	story     *story
	key       string
	causation string
	trace     [16]byte
	address   unique.Handle[string]
	source    unique.Handle[string]
	style     unique.Handle[string]
	expected  unique.Handle[string] // joined by commas; see listed
	accepted  int64                 // nanoseconds; 0 = not recorded
	sender    unique.Handle[place]  // who reported the acceptance
	marks     []mark                // sorted by compare
	omitted   int32                 // marks that did not fit
	known     bool                  // has any fact at all
	listed    bool                  // expected is what an acceptance said
	listedAt  int64                 // which acceptance
}

// mark is one transition of a hop without what the hop knows.
type mark struct {
	at       int64 // nanoseconds
	took     int64
	group    unique.Handle[string]
	copy     unique.Handle[string]
	place    unique.Handle[place]
	more     *detail // nil = none
	attempt  uint16
	attempts uint16
	kind     kind
}

// detail is what few transitions have.
type detail struct {
	until      int64
	reason, by string
}

// place is where something happened.
type place struct{ process, service, instance string }

// kind is a Kind in a byte, in the order in which an attempt has them.
type kind uint8

var kinds = [...]Kind{Accepted, Redriven, Called, Received, Filtered, Expired, Failed, Delayed, Answered, Done, Ended, DeadLettered}

func kindOf(k Kind) (kind, bool) {
	i := slices.Index(kinds[:], k)
	return kind(max(i, 0)), i >= 0
}

// is reports whether m is one of these.
func (m *mark) is(which ...Kind) bool { return slices.Contains(which, kinds[m.kind]) }

// add takes a transition and reports whether it was new. A Kind that this program does not know is left out.
func (h *hop) add(t *Transition, process string) bool {
	k, ok := kindOf(t.Kind)
	if !ok || carriage(t) {
		return false
	}
	h.known = true
	prefer(&h.key, t.Key)
	prefer(&h.causation, t.Causation)
	preferHandle(&h.address, t.Address)
	preferHandle(&h.source, t.Source)
	preferStyle(&h.style, t.Style)
	if trace, ok := traceID(t.Trace); ok && (h.trace == [16]byte{} || slices.Compare(trace[:], h.trace[:]) < 0) {
		h.trace = trace
	}
	where := place{process, t.Service, t.Instance}
	if t.Kind == Accepted {
		return h.accept(t, where)
	}
	m := mark{
		at: t.At.UnixNano(), took: int64(t.Took), kind: k,
		group: unique.Make(t.Group), copy: unique.Make(t.Copy), place: unique.Make(where),
		attempt: small(t.Attempt), attempts: small(t.Attempts),
	}
	if !t.Until.IsZero() || t.Reason != "" || t.By != "" {
		m.more = &detail{reason: t.Reason, by: t.By}
		if !t.Until.IsZero() {
			m.more.until = t.Until.UnixNano()
		}
	}
	i, found := slices.BinarySearchFunc(h.marks, &m, func(a mark, b *mark) int { return a.compare(b) })
	if found {
		return false
	}
	if len(h.marks) >= hopMarks {
		h.omitted++
		return false
	}
	if len(h.marks) == cap(h.marks) {
		h.marks = append(make([]mark, 0, len(h.marks)+1+len(h.marks)/4), h.marks...)
	}
	h.marks = slices.Insert(h.marks, i, m)
	return true
}

// carried reports whether requests of that style are carried by calls and queues, under the same id.
func carried(style string) bool { return style == StyleOperation || style == StyleSignal }

// carriage reports whether t only says that a queue, whose attempts are bounded, handed over the request for an
// operation or a signal; what becomes of them they report themselves.
func carriage(t *Transition) bool {
	return carried(t.Style) && (t.Kind == Received || t.Kind == Done) && t.Attempts > 0
}

// accept notes an acceptance. A message that was sent twice has two; the earlier one counts, and among the lists of
// expected groups the earliest that is known.
func (h *hop) accept(t *Transition, from place) bool {
	at := t.At.UnixNano()
	fresh := h.accepted == 0
	if fresh || at < h.accepted || at == h.accepted && from.compare(h.sender.Value()) < 0 {
		h.accepted, h.sender = at, unique.Make(from)
	}
	if t.Expected == nil {
		return fresh
	}
	groups := slices.Clone(t.Expected)
	slices.Sort(groups)
	expected := unique.Make(strings.Join(slices.Compact(groups), ","))
	if !h.listed || at < h.listedAt || at == h.listedAt && expected.Value() < h.expected.Value() {
		h.listed, h.listedAt, h.expected = true, at, expected
	}
	return fresh
}

// ended reports whether an operation, or a step of one, is over.
func (h *hop) ended() bool {
	return slices.ContainsFunc(h.marks, func(m mark) bool { return m.is(Done, Ended) })
}

// groups are the expected ones.
func (h *hop) groups() []string {
	if !h.listed || h.expected.Value() == "" {
		return nil
	}
	return strings.Split(h.expected.Value(), ",")
}

// first is when the hop is known to have been, in nanoseconds; 0 = never.
func (h *hop) first() int64 {
	first := h.accepted
	if len(h.marks) > 0 && (first == 0 || h.marks[0].at < first) {
		first = h.marks[0].at
	}
	return first
}

func (h *hop) last() int64 {
	if n := len(h.marks); n > 0 {
		return max(h.accepted, h.marks[n-1].at)
	}
	return h.accepted
}

// bytes is about what h takes, its places in maps and lists included.
func (h *hop) bytes() int {
	n := 250 + len(h.id) + len(h.key) + len(h.causation) + 56*cap(h.marks)
	for i := range h.marks {
		if d := h.marks[i].more; d != nil {
			n += 48 + len(d.reason) + len(d.by)
		}
	}
	return n
}

// compare orders marks by time; equal ones are the same transition.
func (m *mark) compare(o *mark) int {
	return cmp.Or(
		cmp.Compare(m.at, o.at),
		cmp.Compare(m.kind, o.kind),
		cmp.Compare(m.attempt, o.attempt),
		compareHandles(m.copy, o.copy),
		compareHandles(m.group, o.group),
		comparePlaces(m.place, o.place),
		cmp.Compare(m.took, o.took),
		cmp.Compare(m.attempts, o.attempts),
		cmp.Compare(m.until(), o.until()),
		strings.Compare(m.reason(), o.reason()),
		strings.Compare(m.by(), o.by()),
	)
}

func comparePlaces(a, b unique.Handle[place]) int {
	if a == b {
		return 0
	}
	return a.Value().compare(b.Value())
}

func (p place) compare(o place) int {
	return cmp.Or(strings.Compare(p.process, o.process), strings.Compare(p.service, o.service), strings.Compare(p.instance, o.instance))
}

func compareHandles(a, b unique.Handle[string]) int {
	if a == b {
		return 0
	}
	return strings.Compare(a.Value(), b.Value())
}

func (m *mark) until() int64 {
	if m.more == nil {
		return 0
	}
	return m.more.until
}

func (m *mark) reason() string {
	if m.more == nil {
		return ""
	}
	return m.more.reason
}

func (m *mark) by() string {
	if m.more == nil {
		return ""
	}
	return m.more.by
}

// prefer keeps what is known; two who disagree are settled by the alphabet.
func prefer(field *string, value string) {
	if value != "" && (*field == "" || value < *field) {
		*field = value
	}
}

func preferHandle(field *unique.Handle[string], value string) {
	if value != "" && (text(*field) == "" || value < text(*field)) {
		*field = unique.Make(value)
	}
}

// preferStyle is preferHandle of a style, where what is carried comes before what carries it.
func preferStyle(field *unique.Handle[string], style string) {
	if now := text(*field); carried(style) == carried(now) {
		preferHandle(field, style)
	} else if carried(style) {
		*field = unique.Make(style)
	}
}

// text is the value of a handle that may be zero.
func text(h unique.Handle[string]) string {
	if h == (unique.Handle[string]{}) {
		return ""
	}
	return h.Value()
}

// traceID is the trace id of a W3C traceparent, or of its 32 digits alone.
func traceID(s string) (id [16]byte, ok bool) {
	if len(s) == 55 && s[2] == '-' && s[35] == '-' {
		s = s[3:35]
	}
	if len(s) != 32 {
		return id, false
	}
	n, err := hex.Decode(id[:], []byte(s))
	return id, err == nil && n == 16 && id != [16]byte{}
}

// at is a time of nanoseconds; 0 = the zero time.
func at(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

func small(n int) uint16 { return uint16(min(max(n, 0), 1<<16-1)) }
