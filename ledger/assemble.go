package ledger

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// trailHops bounds what one trail shows, so that an answer stays below a MiB: a story can have more, and what is found
// by a key can be very many stories.
const trailHops = 1_000

// trail is the trail of stories, which are given by age. Of too many, the newest are shown.
func (x *Index) trail(query, found string, stories []*story) Trail {
	t := Trail{Query: query, Found: found, Hops: []Hop{}, Gaps: []string{}, Revision: x.blurred}
	b := &trailer{x: x, t: &t, with: make(map[string]bool)}
	n := 0
	from := len(stories)
	for from > 0 && (from == len(stories) || n+len(stories[from-1].hops) <= trailHops) {
		from--
		n += len(stories[from].hops)
	}
	if from > 0 {
		b.gapf("%s with this %s left out; ask for one of their ids", plural(uint64(from), "older story", "older stories"), found)
	}
	for _, s := range stories[from:] {
		b.story(s)
	}
	b.processes()
	t.Settled = len(t.Gaps) == 0
	for i := range t.Hops {
		t.Settled = t.Settled && t.Hops[i].Settled()
	}
	b.shorten()
	return t
}

// trailer puts a Trail together.
type trailer struct {
	x           *Index
	t           *Trail
	first, last int64           // when the stories were
	open        bool            // some receiver is not in a final state
	with        map[string]bool // processes, services and groups that took part or should have
}

func (b *trailer) gapf(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(b.t.Gaps, s) {
		b.t.Gaps = append(b.t.Gaps, s)
	}
}

// shorten leaves out what is too much: of the deepest and latest hops, but never the one that was asked for.
func (b *trailer) shorten() {
	t := b.t
	n := len(t.Hops)
	if n <= trailHops {
		return
	}
	asked := slices.IndexFunc(t.Hops, func(h Hop) bool { return h.ID == t.Query })
	if asked >= trailHops {
		t.Hops[trailHops-1] = t.Hops[asked]
	}
	t.Hops = slices.Clip(t.Hops[:trailHops])
	b.gapf("%d of %d messages and calls are shown; ask for the id of another one", trailHops, n)
}

// story appends the hops of s by depth, then time.
func (b *trailer) story(s *story) {
	b.t.Revision = max(b.t.Revision, s.changed)
	if first := s.first(); b.first == 0 || first < b.first {
		b.first = first
	}
	b.last = max(b.last, s.last())
	depths := make(map[string]int, len(s.hops))
	hops := slices.DeleteFunc(slices.Clone(s.hops), func(h *hop) bool { return !h.known })
	slices.SortFunc(hops, func(a, b *hop) int { return strings.Compare(a.id, b.id) })
	for _, h := range hops {
		b.depth(h, depths)
	}
	slices.SortFunc(hops, func(a, b *hop) int {
		return cmp.Or(cmp.Compare(depths[a.id], depths[b.id]), cmp.Compare(a.first(), b.first()), strings.Compare(a.id, b.id))
	})
	for _, h := range hops {
		b.t.Hops = append(b.t.Hops, b.hop(h, depths[h.id]))
	}
	if s.omitted > 0 {
		b.gapf("correlation %s has more than %d messages; those that came later are not kept", s.id, storyHops)
	}
}

// depth is how many causes h has, as far as they are recorded in its story.
func (b *trailer) depth(h *hop, depths map[string]int) int {
	if d, ok := depths[h.id]; ok {
		return d
	}
	depths[h.id] = 0 // also ends a circle of causes
	if h.causation == "" || h.causation == h.id {
		return 0
	}
	cause := b.x.hops[h.causation]
	if cause == nil || !cause.known || cause.story != h.story {
		b.gapf("%s was caused by %s, of which nothing is recorded in this story", h.id, h.causation)
		return 0
	}
	depths[h.id] = b.depth(cause, depths) + 1
	return depths[h.id]
}

// hop shows h.
func (b *trailer) hop(h *hop, depth int) Hop {
	v := Hop{
		ID: h.id, Style: text(h.style), Address: text(h.address), Key: h.key, Source: text(h.source),
		Correlation: h.story.id, Causation: h.causation, Depth: depth, Accepted: at(h.accepted),
		Receivers: []Receiver{},
	}
	if h.trace != [16]byte{} {
		v.Trace = hex.EncodeToString(h.trace[:])
	}
	b.with[v.Source] = true
	if h.accepted != 0 {
		b.took(h.sender.Value())
	}
	parts := h.parts()
	for _, p := range parts {
		b.with[p.group] = true
		v.Receivers = append(v.Receivers, b.receiver(h, p))
	}
	v.Nobody = v.Style == StyleEvent && h.listed && len(parts) == 0
	b.acceptance(h, &v)
	if h.omitted > 0 {
		b.gapf("%s has more than %d transitions; those that came later are not kept", h.id, hopMarks)
	}
	b.open = b.open || !v.Settled()
	return v
}

// took notes that somebody took part.
func (b *trailer) took(where place) { b.with[where.process], b.with[where.service] = true, true }

// acceptance notes what is not known of how the hop began.
func (b *trailer) acceptance(h *hop, v *Hop) {
	switch {
	case v.Style == StyleStep:
	case v.Style == StyleCall:
		if !slices.ContainsFunc(h.marks, func(m mark) bool { return m.is(Called, Answered) }) {
			b.gapf("%s: the caller's side is not recorded", h.id)
		}
	case h.accepted == 0 && (v.Style == StyleOperation || v.Style == StyleSignal):
		b.gapf("%s: its acceptance is not recorded", h.id)
	case h.accepted == 0:
		b.gapf("%s: its acceptance is not recorded, so its expected receivers are not known", h.id)
	case v.Style == StyleEvent && !h.listed:
		b.gapf("%s: which groups subscribed to %s was not known when it was accepted", h.id, v.Address)
	}
}

// processes notes what is missing of those who took part or should have, at the time of the trail.
func (b *trailer) processes() {
	b.with[""] = false
	var words []string
	for _, p := range b.x.processes {
		holes := p.missing()
		if len(holes) == 0 && p.altered <= b.t.Revision || !b.concerns(p) {
			continue
		}
		b.t.Revision = max(b.t.Revision, p.altered)
		for _, hole := range holes {
			if b.meets(hole.from, hole.to) {
				words = append(words, p.words(hole))
			}
		}
	}
	slices.Sort(words)
	b.t.Gaps = append(b.t.Gaps, words...)
	unreadable := uint64(0)
	for _, t := range b.x.unread {
		if b.meets(t, t) {
			unreadable++
		}
	}
	if unreadable > 0 {
		b.gapf("%s of the ledger could not be read; the collector's statistics count them", plural(unreadable, "entry", "entries"))
	}
}

// concerns reports whether p took part or should have. A process of which nothing but its number is known may have.
func (b *trailer) concerns(p *process) bool {
	if b.with[p.id] || len(p.names) == 0 {
		return true
	}
	for n := range p.names {
		if b.with[n] {
			return true
		}
	}
	return false
}

// meets reports whether what is missing between two times may belong to the trail. A trail that is over misses
// nothing that happened later.
func (b *trailer) meets(from, to time.Time) bool {
	return !to.Before(at(b.first).Add(-clockSkew)) && (b.open || !from.After(at(b.last).Add(clockSkew)))
}
