package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The bounds of an Index.
const (
	// DefaultHops is how many messages and calls an Index keeps. It keeps at most a KiB for each of them on the
	// average (200,000 hops: 195 MiB); one with two transitions takes about half of that.
	DefaultHops = 200_000
	bytesPerHop = 1 << 10

	storyHops     = 10_000 // of one correlation
	hopMarks      = 2_000  // transitions of one hop
	processesKept = 4_096
	unreadKept    = 64
)

// clockSkew is how far the clocks of two machines may be apart before a gap is thought to be of another time than a trail.
const clockSkew = time.Minute

// Index assembles trails from batches. What it answers depends on what it was given and not on the order: batches
// may come late, twice and mixed. It does no input or output and asks no clock. Its memory is bounded: the story
// that was silent for the longest goes first. Not safe for concurrent use.
type Index struct {
	limit     int // hops
	hops      map[string]*hop
	stories   map[string]*story // by correlation
	oldest    *story            // the ring of stories, by last change; nil = none
	size      int               // bytes, estimated
	processes map[string]*process
	gone      map[string]time.Time // instances that ended without a word
	unread    []time.Time          // of entries that could not be read, the last few
	totals    Totals
	edges     map[edge]*Counts
	revision  uint64
	blurred   uint64 // the revision at which unread or gone changed last
}

// Totals are what an Index has been given and what it keeps.
type Totals struct {
	Transitions uint64 `json:"transitions"` // distinct ones
	Batches     uint64 `json:"batches"`
	Unreadable  uint64 `json:"unreadable"` // entries of the stream that are no batches
	Dropped     uint64 `json:"dropped"`    // transitions that the writers gave up, as far as they said
	Missing     uint64 `json:"missing"`    // batches whose numbers are missing
	Hops        int    `json:"hops"`       // kept now
	Stories     int    `json:"stories"`    // kept now
	Bytes       int    `json:"bytes"`      // that these take, about
	Forgotten   uint64 `json:"forgotten"`  // stories that had to go
}

// NewIndex returns an Index of at most that many hops; 0 = [DefaultHops].
func NewIndex(hops int) *Index {
	if hops <= 0 {
		hops = DefaultHops
	}
	return &Index{
		limit: hops, hops: make(map[string]*hop), stories: make(map[string]*story),
		processes: make(map[string]*process), gone: make(map[string]time.Time), edges: make(map[edge]*Counts),
	}
}

// Add takes a batch. One that it has already is ignored.
func (x *Index) Add(b Batch) {
	p := x.process(b.Process)
	fresh, altered := p.hear(&b)
	if !fresh {
		return
	}
	x.totals.Batches++
	x.revision++
	if altered {
		p.altered = x.revision
	}
	for i := range b.Transitions {
		x.add(p, &b.Transitions[i])
	}
	x.evict()
}

// Unreadable notes that an entry of the ledger, stored at that time, could not be read.
func (x *Index) Unreadable(at time.Time) {
	x.totals.Unreadable++
	x.revision++
	x.blurred = x.revision
	x.unread = append(x.unread, at)
	slices.SortFunc(x.unread, time.Time.Compare)
	if len(x.unread) > unreadKept {
		x.unread = x.unread[1:]
	}
}

// Gone notes that an instance ended at that time, as somebody else found out; what it was doing then is not running
// any more. An instance that ended orderly needs no Gone.
func (x *Index) Gone(instance string, at time.Time) {
	if old, ok := x.gone[instance]; ok && !at.Before(old) {
		return
	}
	if len(x.gone) >= processesKept {
		clear(x.gone) // attempts of instances that are long gone show as running again
	}
	x.gone[instance] = at
	x.revision++
	x.blurred = x.revision
}

// Totals is what the Index has seen and keeps.
func (x *Index) Totals() Totals {
	t := x.totals
	t.Hops, t.Stories, t.Bytes = len(x.hops), len(x.stories), x.size
	for _, p := range x.processes {
		t.Dropped += p.dropped
		for _, m := range p.missing() {
			t.Missing += m.last - m.first + 1
		}
	}
	return t
}

// Revision grows with every change.
func (x *Index) Revision() uint64 { return x.revision }

// Trail is the trail of a message's or call's id, else of a correlation, else of a W3C trace (its 32 digits or a
// whole traceparent), else of the stories in which a message has that key, those of a key by age.
func (x *Index) Trail(query string) (Trail, bool) {
	if h := x.hops[query]; h != nil && h.known {
		return x.trail(query, FoundID, []*story{h.story}), true
	}
	if s := x.stories[query]; s != nil && slices.ContainsFunc(s.hops, func(h *hop) bool { return h.known }) {
		return x.trail(query, FoundCorrelation, []*story{s}), true
	}
	if trace, ok := traceID(query); ok {
		if found := x.scan(func(h *hop) bool { return h.trace == trace }); len(found) > 0 {
			return x.trail(query, FoundTrace, found), true
		}
	}
	if found := x.scan(func(h *hop) bool { return h.key == query }); query != "" && len(found) > 0 {
		return x.trail(query, FoundKey, found), true
	}
	return Trail{Query: query}, false
}

// scan looks at every hop: a key or a trace is asked for by people, and 200,000 hops take some milliseconds.
func (x *Index) scan(match func(*hop) bool) []*story {
	var found []*story
	for s, n := x.oldest, len(x.stories); n > 0; s, n = s.next, n-1 {
		if slices.ContainsFunc(s.hops, match) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *story) int { return cmp.Or(cmp.Compare(a.first(), b.first()), strings.Compare(a.id, b.id)) })
	return found
}

// Receiver is what one receiver of a message has made of it; group is ignored unless the message is an event.
func (x *Index) Receiver(id, group string) (Receiver, bool) {
	h := x.hops[id]
	if h == nil {
		return Receiver{}, false
	}
	b := &trailer{x: x, t: new(Trail), with: make(map[string]bool)}
	for _, p := range h.parts() {
		if p.group == group || text(h.style) != StyleEvent {
			return b.receiver(h, p), true
		}
	}
	return Receiver{}, false
}

// add takes one transition of process p.
func (x *Index) add(p *process, t *Transition) {
	if t.ID == "" {
		return
	}
	p.name(t)
	h := x.hop(t)
	if h == nil {
		return
	}
	before := h.bytes()
	if !h.add(t, p.id) {
		return
	}
	x.size += h.bytes() - before
	x.totals.Transitions++
	x.count(t)
	h.story.changed = x.revision
	x.touch(h.story)
}

// hop finds or makes the hop of t, in its story; nil if the story is full.
func (x *Index) hop(t *Transition) *hop {
	correlation := cmp.Or(t.Correlation, t.ID)
	h := x.hops[t.ID]
	if h == nil {
		s := x.story(correlation)
		if len(s.hops) >= storyHops {
			s.omitted++
			return nil
		}
		h = &hop{id: t.ID, story: s}
		x.hops[t.ID] = h
		s.hops = append(s.hops, h)
		x.size += h.bytes()
		return h
	}
	// Who knows of another beginning than the message itself is right; two who disagree are settled by the alphabet.
	if now := h.story.id; correlation != now && correlation != h.id && (now == h.id || correlation < now) {
		x.size -= h.bytes()
		x.move(h, x.story(correlation))
		x.size += h.bytes()
	}
	return h
}

// evict forgets the stories that were silent for the longest until the bounds hold.
func (x *Index) evict() {
	for len(x.hops) > x.limit || x.size > x.limit*bytesPerHop {
		s := x.oldest
		if s == nil {
			return
		}
		for _, h := range s.hops {
			x.size -= h.bytes()
			delete(x.hops, h.id)
		}
		x.forget(s)
		x.totals.Forgotten++
	}
}

// process finds or makes the record of a process.
func (x *Index) process(id string) *process {
	p := x.processes[id]
	if p != nil {
		return p
	}
	if len(x.processes) >= processesKept {
		x.forgetProcess()
	}
	p = &process{id: id, names: make(map[string]bool)}
	x.processes[id] = p
	return p
}

// forgetProcess forgets the process that was silent for the longest, of those that ended orderly if there are any: one
// that reports again later seems to have lost what it reported before.
func (x *Index) forgetProcess() {
	var quiet *process
	for _, p := range x.processes {
		if quiet == nil || p.ended.IsZero() == quiet.ended.IsZero() && p.heard.Before(quiet.heard) || !p.ended.IsZero() && quiet.ended.IsZero() {
			quiet = p
		}
	}
	delete(x.processes, quiet.id)
}

// when is a time in the words of a gap.
func when(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
