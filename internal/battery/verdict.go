package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// judged is what a book has wrong, and its figures.
type judged struct {
	lost, invented, rejects, early []string // never right
	disordered, doubled, beside    []string // not right, as no fault explains them
	duplicates, besides            int      // all of them, explained ones too
	unknown                        int      // messages whose sender was not told what became of them
	latency, confirmation          []time.Duration
	lateness                       []time.Duration // of scheduled messages, but for those that an outage kept from being in time
	settled                        []time.Duration // of them, those due when a broker's return was resumeLimit ago, or later
	latest                         time.Duration   // of all of them
}

// reach is how long after a fault its effects may show: leases and sessions end, what was in flight is handed out again.
const reach = 30 * time.Second

// lateLimit is how late a scheduled message may be where nothing is wrong. An outage that begins within so long after its
// time, and before it is begun, explains that it is late.
const lateLimit = time.Second

// judge compares what was sent with what was handled. With ordered, lanes have to be handled in their order by one
// process at a time.
func (b *book) judge(ordered bool) judged {
	b.mu.Lock()
	defer b.mu.Unlock()
	var j judged
	for _, l := range b.lanes {
		slices.SortStableFunc(l.starts, func(x, y start) int { return cmp.Compare(x.at, y.at) })
		b.judgeEntries(l, &j)
		b.judgeTimes(l, &j)
		b.judgeRepeats(l, &j)
		if ordered {
			b.judgeOrder(l, &j)
			b.judgeBeside(l, &j)
		}
	}
	for _, all := range [][]time.Duration{j.latency, j.confirmation, j.lateness, j.settled} {
		slices.Sort(all)
	}
	return j
}

func (b *book) judgeEntries(l *lane, j *judged) {
	for i, e := range l.entries {
		id := fmt.Sprintf("%s-%d", l.name, i+1)
		switch {
		case e.sent == 0:
			j.invented = append(j.invented, id)
			continue
		case e.refused && e.ended > 0:
			j.rejects = append(j.rejects, id)
		case e.awaited() && e.ended == 0:
			j.lost = append(j.lost, id)
		case e.stored == 0 && !e.refused:
			j.unknown++
		}
		if e.stored > 0 {
			j.confirmation = append(j.confirmation, time.Duration(e.stored-e.sent))
		}
		if e.ended > 0 && e.due == 0 && e.kind == good {
			j.latency = append(j.latency, time.Duration(e.ended-e.sent))
		}
	}
}

// judgeTimes notes messages that were begun before their time, and how late each was when it was first begun.
func (b *book) judgeTimes(l *lane, j *judged) {
	seen := make(map[int]bool)
	for _, x := range l.starts {
		e := l.entries[x.number-1]
		if e.due == 0 {
			continue
		}
		if x.at < e.due {
			j.early = append(j.early, fmt.Sprintf("%s-%d by %v", l.name, x.number, time.Duration(e.due-x.at)))
		}
		if seen[x.number] {
			continue
		}
		seen[x.number] = true
		late := time.Duration(x.at - max(e.due, e.stored))
		j.latest = max(j.latest, late)
		if b.cause(nil, e.due, min(x.at, e.due+int64(lateLimit)), 0) == "" {
			j.lateness = append(j.lateness, late)
		}
		if b.cause(nil, e.due, x.at, resumeLimit) == "" {
			j.settled = append(j.settled, late)
		}
	}
}

// judgeRepeats looks for messages that were begun again though nothing happened to anybody since they were sent.
func (b *book) judgeRepeats(l *lane, j *judged) {
	seen := make(map[int]start)
	for _, x := range l.starts {
		before, again := seen[x.number]
		seen[x.number] = x
		if !again || before.failed {
			continue
		}
		j.duplicates++
		if b.cause(nil, l.entries[x.number-1].sent, x.at, reach) == "" {
			j.doubled = append(j.doubled, fmt.Sprintf("%s-%d by %s after %s", l.name, x.number, b.told(x), b.told(before)))
		}
	}
}

// judgeOrder looks for messages that were first begun after a later one of their lane.
func (b *book) judgeOrder(l *lane, j *judged) {
	seen := make(map[int]bool)
	last := 0
	for _, x := range l.starts {
		if !seen[x.number] && x.number < last {
			j.disordered = append(j.disordered, fmt.Sprintf("%s-%d by %s after %d", l.name, x.number, b.told(x), last))
		}
		seen[x.number] = true
		last = max(last, x.number)
	}
}

// judgeBeside looks for handlers of a lane that ran at the same time in two processes.
func (b *book) judgeBeside(l *lane, j *judged) {
	var open []start
	for _, x := range l.starts {
		open = slices.DeleteFunc(open, func(o start) bool {
			return o.ended > 0 && o.ended <= x.at || o.ended == 0 && !o.by.killed.IsZero() && o.by.killed.UnixNano() <= x.at
		})
		for _, o := range open {
			if o.by == x.by {
				continue
			}
			j.besides++
			if b.cause(o.by, o.at, x.at, 0) == "" {
				j.beside = append(j.beside, fmt.Sprintf("%s-%d by %s beside %d by %s", l.name, x.number, b.told(x), o.number, b.told(o)))
			}
		}
		open = append(open, x)
	}
}

// told is who began a message, and when since the first was sent. mu is held.
func (b *book) told(x start) string {
	return fmt.Sprintf("%s at %.3fs", x.by.name, time.Unix(0, x.at).Sub(b.firstSent).Seconds())
}

// cause is a fault that touches a time, "" where there is none: one of everybody, or of a process; of any where it is
// nil. mu is held.
func (b *book) cause(of *process, from, until int64, reach time.Duration) string {
	for _, f := range b.faults {
		if of != nil && f.of != nil && f.of != of {
			continue
		}
		if f.from.UnixNano() <= until && f.until.Add(reach).UnixNano() >= from {
			return f.what
		}
	}
	return ""
}

// problems are what is wrong, a sentence each.
func (j judged) problems() (all []string) {
	report := func(which []string, what string) {
		if len(which) > 0 {
			all = append(all, fmt.Sprintf("%d %s: %s", len(which), what, clip(which)))
		}
	}
	report(j.lost, "confirmed messages were never handled")
	report(j.invented, "messages were handled that nobody sent")
	report(j.rejects, "messages were handled that their sender was told are not stored")
	report(j.early, "messages were handled before their time")
	report(j.disordered, "messages were first handled after a later one of their lane")
	report(j.doubled, "messages were handled again though no fault touched them")
	report(j.beside, "handlers ran beside another of their lane though no fault touched that one")
	return all
}

func clip(which []string) string {
	const shown = 5
	if len(which) > shown {
		which = append(slices.Clone(which[:shown]), "…")
	}
	return strings.Join(which, ", ")
}

// quantile is of sorted durations; 0 of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
