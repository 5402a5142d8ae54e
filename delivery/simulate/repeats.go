package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// twice wants a reason for each run that repeats what the same copy had before.
func (o *oracle) twice(m *message, receiver string) {
	done, last := make(map[string]*run), make(map[string]*run) // by copy
	for _, r := range o.byLine[receiver+" "+m.ID] {
		if o.twins(m, generation(r.copy)) {
			continue
		}
		if before := done[r.copy]; before != nil && !o.vain(before) {
			o.brokenf("%v, and before %v, and nothing had happened to that process", r, before)
		}
		if before := last[r.copy]; before != nil && r.attempt <= before.attempt && before.outcome != missing && !o.changed(before.from, r.from) && !o.vain(before) {
			o.brokenf("%v, and before %v, and nothing had changed between them", r, before)
		}
		if r.counts && r.outcome == succeeds {
			done[r.copy] = r
		}
		last[r.copy] = r
	}
}

// ownCopies wants each delayed copy to follow an attempt of the same receiver, and each redriven one a dead letter.
func (o *oracle) ownCopies(m *message, receiver string) {
	runs := o.byLine[receiver+" "+m.ID]
	for i, r := range runs {
		g := generation(r.copy)
		if g > 0 && !slices.ContainsFunc(o.letters[receiver+" "+m.ID], func(d letter) bool { return generation(d.Copy) == g-1 }) {
			o.brokenf("%v, and this receiver has no dead letter that was redriven", r)
		}
		var n int
		if _, delayed, ok := strings.Cut(r.copy, "a"); ok {
			if n, _ = strconv.Atoi(delayed); n < 2 {
				o.brokenf("%v: nobody makes such a copy", r)
			}
		}
		asked := *m.Envelope
		asked.Copy, asked.Attempt = strings.TrimSuffix(r.copy, fmt.Sprint("a", n)), 1
		if n > 1 && !slices.ContainsFunc(runs[:i], func(x *run) bool { return generation(x.copy) == g && x.attempt == n-1 && x.outcome != succeeds }) &&
			(n > 2 || behave(o.world.Seed, receiver, &asked).outcome != undecided) {
			o.brokenf("%v, and no attempt %d of this receiver failed before", r, n-1)
		}
	}
}

// settling is how long after a run, or a standstill, its outcome may not be with the broker yet: the ledger is given a second.
const settling = 1100 * time.Millisecond

// vain reports whether something happened to the process of a run before its outcome can have been settled.
func (o *oracle) vain(r *run) bool {
	settled := r.to.Add(settling)
	for _, s := range o.standstills {
		if (s.who == nil || s.who == r.who) && !s.from.After(settled) && s.to.Add(settling).After(settled) {
			settled = s.to.Add(settling)
		}
	}
	for _, t := range o.troubles[r.who] {
		if !t.to.Before(r.from) && !t.from.After(settled) {
			return true
		}
	}
	return false
}

// twins reports whether the broker may have stored some copy of a generation more than once.
func (o *oracle) twins(m *message, g int) bool {
	redriven := 0 // a redrive whose outcome was not known is repeated, perhaps after the broker forgot it
	for _, r := range o.redrives {
		if r.ID == m.ID && generation(r.Copy)+1 == g {
			redriven++
		}
	}
	if o.world.World.Dedupe > 0 && redriven < 2 {
		return false
	}
	for c, n := range o.copies {
		if c.id == m.ID && n > 1 && generation(c.copy) == g {
			return true
		}
	}
	return false
}

// changed reports whether something came, went or broke between two moments.
func (o *oracle) changed(from, to time.Time) bool {
	return slices.ContainsFunc(o.changes, func(c change) bool { return !c.at.Before(from) && !c.at.After(to) })
}
