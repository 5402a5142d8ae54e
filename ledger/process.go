package ledger

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// process is what is known of one Writer: which of its batches have been seen, and whom it works for.
type process struct {
	id      string
	spans   []span          // the numbers seen: ascending, no two adjacent
	names   map[string]bool // its services and groups, at most processNames
	heard   time.Time       // of the newest batch
	ended   time.Time       // of the last batch of an orderly end; zero = none yet
	dropped uint64
	altered uint64 // the revision at which a hole came or went, or the process ended
}

const (
	processSpans = 256 // with more holes, the oldest numbers count as missing
	processNames = 256
)

// span is a run of batch numbers, with the times of the first and the last one.
type span struct {
	first, last uint64
	from, to    time.Time
}

// hear notes a batch and reports whether it is new, and whether it is more than the next one in turn.
func (p *process) hear(b *Batch) (fresh, altered bool) {
	i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].last >= b.Number })
	if i < len(p.spans) && p.spans[i].first <= b.Number {
		return false, false
	}
	n := len(p.spans)
	altered = b.Last || n == 0 || b.Number != p.spans[n-1].last+1
	p.spans = slices.Insert(p.spans, i, span{b.Number, b.Number, b.At, b.At})
	p.join(i + 1)
	p.join(i)
	if len(p.spans) > processSpans {
		p.spans = slices.Delete(p.spans, 0, 1)
	}
	if b.At.After(p.heard) {
		p.heard = b.At
	}
	if b.Last {
		p.ended = b.At
	}
	p.dropped = max(p.dropped, b.Dropped)
	return true, altered
}

// join makes one of the spans i-1 and i if nothing is between them.
func (p *process) join(i int) {
	if i < 1 || i >= len(p.spans) || p.spans[i-1].last+1 != p.spans[i].first {
		return
	}
	p.spans[i-1].last, p.spans[i-1].to = p.spans[i].last, p.spans[i].to
	p.spans = slices.Delete(p.spans, i, i+1)
}

// missing are the holes before, between and not after what was seen: the batch before a hole and the one after it
// say from when to when it is.
func (p *process) missing() []span {
	var holes []span
	next, since := uint64(1), time.Time{}
	for _, s := range p.spans {
		if s.first > next {
			holes = append(holes, span{next, s.first - 1, since, s.from})
		}
		next, since = s.last+1, s.to
	}
	return holes
}

// name notes whom a transition of p is about.
func (p *process) name(t *Transition) {
	for _, n := range [...]string{t.Service, t.Group} {
		if n != "" && !p.names[n] && len(p.names) < processNames {
			p.names[n] = true
		}
	}
}

// words says in a gap what is missing.
func (p *process) words(hole span) string {
	what := fmt.Sprintf("batch %d is missing", hole.first)
	if hole.last > hole.first {
		what = fmt.Sprintf("batches %d to %d are missing", hole.first, hole.last)
	}
	if hole.from.IsZero() {
		return fmt.Sprintf("process %s: %s, from before %s", p.id, what, when(hole.to))
	}
	return fmt.Sprintf("process %s: %s, from between %s and %s", p.id, what, when(hole.from), when(hole.to))
}
