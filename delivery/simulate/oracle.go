package simulate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// oracle compares what was noted with what was promised, after the end of a world.
type oracle struct {
	*notes
	world    *world
	attempts int // that a message may have
	letters  map[string][]letter
	ends     map[string][]ledger.Transition // the last transitions, by receiver id
	gaps     map[string]bool                // processes of which the ledger may miss something, and says so
	byLine   map[string][]*run              // runs by receiver id, as they began
}

func newOracle(w *world) *oracle {
	n := w.World.Retries
	if !n.Set {
		n = delivery.DefaultRetries(false)
	}
	return &oracle{
		notes: w.notes, world: w, attempts: n.Attempts(), letters: make(map[string][]letter),
		ends: make(map[string][]ledger.Transition), byLine: make(map[string][]*run), gaps: make(map[string]bool),
	}
}

// judge says what is broken.
func (o *oracle) judge() []string {
	o.gather()
	receivers := make(map[string][]string) // by address
	for _, p := range o.world.World.Places {
		for _, g := range p.Groups {
			receivers[p.Channel.Address] = append(receivers[p.Channel.Address], receiverOf(p.Channel, g))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(o.messages)) {
		m := o.messages[id]
		for _, receiver := range receivers[m.Address] {
			o.fate(m, receiver)
		}
	}
	o.inventions(receivers)
	o.order()
	o.emptied()
	return o.complaints
}

// gather reads what the broker keeps and sorts what was noted.
func (o *oracle) gather() {
	b := o.world.operator()
	dead, _, err := letters(context.Background(), b, o.notes)
	if err != nil {
		o.brokenf("reading the dead letters: %v", err)
	}
	for _, d := range dead {
		at := letterOf(d.DeadLetter)
		o.letters[at] = append(o.letters[at], d)
	}
	transitions := o.transitions
	if o.world.World.Ledger {
		transitions = o.ledger(b)
	}
	for _, t := range transitions {
		at := t.Address + "/" + t.Group + " " + t.ID
		if t.Group == t.Address {
			at = t.Address + " " + t.ID
		}
		o.ends[at] = append(o.ends[at], t)
	}
	for _, r := range o.runs {
		at := r.receiver + " " + r.id
		o.byLine[at] = append(o.byLine[at], r)
	}
}

// ledger is what the processes wrote, in the order of time.
func (o *oracle) ledger(b transport.Broker) (all []ledger.Transition) {
	last, count, ended := make(map[string]uint64), make(map[string]uint64), make(map[string]bool)
	err := read(context.Background(), b, ledger.Stream(), func(d *transport.Delivery) {
		batch, err := ledger.ParseBatch(d.Envelope.Body)
		if err != nil {
			o.brokenf("the ledger can't be read: %v", err)
			return
		}
		all = append(all, batch.Transitions...)
		last[batch.Process] = max(last[batch.Process], batch.Number)
		count[batch.Process]++
		ended[batch.Process] = ended[batch.Process] || batch.Last
		if batch.Dropped > 0 {
			o.gaps[batch.Process] = true
			if count[batch.Process] == last[batch.Process] {
				o.brokenf("%s says that it dropped %d transitions, and the numbers of its batches have no gap up to %d",
					batch.Process, batch.Dropped, batch.Number)
			}
		}
	})
	if err != nil {
		o.brokenf("reading the ledger: %v", err)
	}
	for process, n := range last {
		o.gaps[process] = o.gaps[process] || count[process] < n || !ended[process] && o.world.wasAway
	}
	slices.SortStableFunc(all, func(a, b ledger.Transition) int { return a.At.Compare(b.At) })
	return all
}

// final reports whether a transition ends a trail.
func final(k ledger.Kind) bool {
	return k == ledger.Done || k == ledger.DeadLettered || k == ledger.Filtered || k == ledger.Expired
}

// fate judges one message at one receiver.
func (o *oracle) fate(m *message, receiver string) {
	at := receiver + " " + m.ID
	generations := []int{}
	if !m.confirmed.IsZero() {
		generations = append(generations, 0)
	}
	for _, r := range o.redrives {
		if r.err == nil && letterOf(r.DeadLetter) == at {
			generations = append(generations, generation(r.Copy)+1)
		}
	}
	for _, g := range generations {
		if o.concluded(m, receiver, g).IsZero() {
			o.brokenf("lost: %s was confirmed (redrive %d) and is neither handled nor a dead letter, nor recorded as filtered or expired; runs %v",
				at, g, o.byLine[at])
		}
	}
	for _, g := range generations {
		if !o.gap(m, at) && !slices.ContainsFunc(o.ends[at], func(t ledger.Transition) bool { return final(t.Kind) && generation(t.Copy) == g }) {
			o.brokenf("the trail of %s (redrive %d) has no end, and the ledger no gap", at, g)
		}
	}
	o.twice(m, receiver)
	o.ownCopies(m, receiver)
	o.buried(m, receiver)
	for _, r := range o.byLine[at] {
		if r.attempt > o.attempts {
			o.brokenf("%v; want at most %d attempts", r, o.attempts)
		}
		if r.from.Before(r.envelope.NotBefore) {
			o.brokenf("%v began %v too early", r, r.envelope.NotBefore.Sub(r.from))
		}
	}
}

// concluded is when a receiver was first through with a generation of a message, or gave it up; zero = never.
func (o *oracle) concluded(m *message, receiver string, g int) time.Time {
	first := o.ended(m, receiver, func(copied string) bool { return generation(copied) == g })
	for _, d := range o.letters[receiver+" "+m.ID] {
		if generation(d.Copy) == g && (first.IsZero() || d.at.Before(first)) {
			first = d.at
		}
	}
	return first
}

// through is when a receiver was first through with a message, with whatever copy of it; zero = never.
func (o *oracle) through(m *message, receiver string) time.Time {
	return o.ended(m, receiver, func(string) bool { return true })
}

// ended is when some of a message's copies was first handled, not wanted or expired; zero = never.
func (o *oracle) ended(m *message, receiver string, counts func(copied string) bool) (first time.Time) {
	at := receiver + " " + m.ID
	note := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	for _, r := range o.byLine[at] {
		if r.counts && r.outcome == succeeds && counts(r.copy) {
			note(r.to)
		}
	}
	if t := o.filtered[at]; !t.IsZero() {
		note(t)
	}
	for _, t := range o.ends[at] {
		if t.Kind == ledger.Expired && counts(t.Copy) {
			note(m.Time.Add(m.Lifetime)) // it may have been found earlier, by a process that died
		}
	}
	if m.Lifetime > 0 && o.gap(m, at) {
		note(m.Time.Add(m.Lifetime))
	}
	return first
}

// gap reports whether the ledger may miss something of a message: a process that had it dropped transitions and said so,
// or could not say so before it died. Who finds that a message is expired runs no handler for it.
func (o *oracle) gap(m *message, at string) bool {
	runs, wrote := o.byLine[at], make(map[string]bool)
	for process, gap := range o.gaps {
		name, _, _ := strings.Cut(process, "~")
		wrote[name] = true
		if gap && (len(runs) == 0 || m.Lifetime > 0 || slices.ContainsFunc(runs, func(r *run) bool { return r.who.name == name })) {
			return true
		}
	}
	return o.world.wasAway && slices.ContainsFunc(runs, func(r *run) bool { return !wrote[r.who.name] })
}

// buried judges the dead letters of a message.
func (o *oracle) buried(m *message, receiver string) {
	seen := make(map[string]bool)
	for _, d := range o.letters[receiver+" "+m.ID] {
		wrong := func(format string, args ...any) {
			o.brokenf("dead letter of %s at %s, copy %q: %s", m.ID, receiver, d.Copy, fmt.Sprintf(format, args...))
		}
		if seen[d.Copy] && !o.changed(m.Time, d.at) && !o.twins(m, generation(d.Copy)) {
			wrong("it is there twice, and nothing had happened")
		}
		seen[d.Copy] = true
		original, err := d.Original()
		if err != nil {
			wrong("%v", err)
			continue
		}
		if string(original.Body) != string(m.Body) || original.Key != m.Key || original.Source != m.Source ||
			original.Correlation != m.Correlation || !maps.Equal(original.Headers, m.Headers) {
			wrong("holds %+v; want what was sent, %+v", original, m.Envelope)
		}
		if d.Reason == "" || d.Attempts < 1 && d.Behind == "" || d.Attempts > o.attempts || d.Last.Before(d.First) || d.First.Before(m.Time) {
			wrong("reason %q, %d attempts from %v to %v; want a reason, at most %d attempts, and these times in order", d.Reason, d.Attempts, d.First, d.Last, o.attempts)
		}
		_, malformed := m.Headers[transport.Malformed]
		expires := m.Lifetime > 0 && generation(d.Copy) == 0
		last := o.lastRun(d)
		switch {
		case d.Behind != "":
			if head := o.messages[d.Behind]; !o.world.World.StopKey || head == nil || head.Key != m.Key || d.Behind == m.ID {
				wrong("behind %q, which does not stop its key", d.Behind)
			}
		case malformed || last == undecided:
		case last == "":
			wrong("no run of attempt %d failed; want no dead letter", d.Attempts)
		case d.Permanent != (last == hopeless):
			wrong("permanent %t, and the last attempt %s", d.Permanent, last)
		case !d.Permanent && d.Attempts < o.attempts && !expires:
			wrong("given up after %d attempts; want %d", d.Attempts, o.attempts)
		case last == panics && d.Stack == "":
			wrong("it panicked and the letter does not say where")
		}
	}
}

// lastRun is how the attempt ended that led to a dead letter; "" = there is none that failed.
func (o *oracle) lastRun(d letter) (last outcome) {
	at := letterOf(d.DeadLetter)
	for _, r := range o.byLine[at] {
		if generation(r.copy) == generation(d.Copy) && r.attempt == d.Attempts && !r.to.After(d.Last) && r.outcome != succeeds && r.outcome != "runs" {
			last = r.outcome
		}
	}
	if m := o.messages[d.ID]; last == "" && behave(o.world.Seed, strings.TrimSuffix(at, " "+d.ID), m.Envelope).outcome == undecided {
		return undecided
	}
	return last
}

// inventions wants each run to be of a message that was sent, to one of its receivers.
func (o *oracle) inventions(receivers map[string][]string) {
	for _, r := range o.runs {
		m := o.messages[r.id]
		if m == nil || m.refused || !slices.Contains(receivers[r.envelope.Address], r.receiver) || m.Address != r.envelope.Address {
			o.brokenf("%v: that was never sent there", r)
			continue
		}
		e := r.envelope
		if string(e.Body) != string(m.Body) || e.Key != m.Key || e.Source != m.Source || e.Correlation != m.Correlation ||
			!e.Time.Equal(m.Time) || !maps.Equal(e.Headers, m.Headers) {
			o.brokenf("%v: got %+v; want what was sent, %+v", r, e, m.Envelope)
		}
	}
	for at := range o.letters {
		if !slices.ContainsFunc(slices.Collect(maps.Values(o.messages)), func(m *message) bool {
			return slices.ContainsFunc(receivers[m.Address], func(r string) bool { return r+" "+m.ID == at })
		}) {
			o.brokenf("dead letter of %s, which was never sent", at)
		}
	}
}

// emptied wants nothing to wait at the broker.
func (o *oracle) emptied() {
	b := o.world.operator()
	for _, p := range o.world.World.Places {
		for _, g := range p.Groups {
			if n, _, err := b.Backlog(context.Background(), p.Channel, g); err != nil || n != 0 {
				o.brokenf("%d messages wait for %s (%v) hours after the last fault; want 0", n, receiverOf(p.Channel, g), err)
			}
		}
	}
}

// letterOf is the receiver and the id of a dead letter.
func letterOf(d *delivery.DeadLetter) string {
	return receiverOf(transport.Channel{Address: d.Address}, d.Group) + " " + d.ID
}
