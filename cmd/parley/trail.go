package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
)

// glyphs are the marks of the styles, the same everywhere.
var glyphs = map[string]string{
	ledger.StyleCall: "→", ledger.StyleCommand: "✉", ledger.StyleEvent: "◉", ledger.StyleOperation: "⟳",
	ledger.StyleStep: "▸", ledger.StyleSignal: "⚑",
}

// drawTrail draws a trail as a tree. A zero now leaves out what changes without news: how long until the next attempt.
func drawTrail(t *table, trail parley.Trail, now time.Time) {
	t.row(summary(trail))
	d := drawing{t: t, now: now, children: make(map[string][]*ledger.Hop)}
	ids := make(map[string]bool)
	for i := range trail.Hops {
		ids[trail.Hops[i].ID] = true
	}
	var roots []*ledger.Hop
	for i := range trail.Hops {
		h := &trail.Hops[i]
		if h.Depth > 0 && ids[h.Causation] {
			d.children[h.Causation] = append(d.children[h.Causation], h)
		} else {
			roots = append(roots, h)
		}
	}
	for _, h := range roots {
		d.hop(h, "", "")
	}
	for _, g := range trail.Gaps {
		t.row("gap: " + g)
	}
}

// drawing is a trail on its way into a table of: tree, id, from whom to whom, state.
type drawing struct {
	t        *table
	now      time.Time
	children map[string][]*ledger.Hop
}

// hop draws h and what it caused; first and rest are the branches before its first line and before the others.
func (d *drawing) hop(h *ledger.Hop, first, rest string) {
	children := d.children[h.ID]
	below := rest + "   "
	if len(children) > 0 {
		below = rest + "│  "
	}
	glyph := glyphs[h.Style]
	if glyph == "" {
		glyph = "?"
	}
	head := first + glyph + " " + h.Address
	name := partName(h)
	if name != "" && first != "" {
		head = first + glyph + " " + readable.Replace(name)
	}
	if h.Key != "" && name == "" { // the key of a part is its operation's
		head += " [" + h.Key + "]"
	}
	id := h.ID
	row := func(to, state string) {
		if h.Style != ledger.StyleStep { // which nobody sends
			to = or(h.Source, "?") + " → " + to
		}
		d.t.row(head, id, to, state)
		head, id = below, "" // only once
	}
	switch {
	case h.Nobody:
		row("nobody", "nobody subscribed when it was accepted")
	case len(h.Receivers) == 0:
		row("?", "accepted, its receivers are not known")
	}
	for i := range h.Receivers {
		r := &h.Receivers[i]
		row(receiverName(h, r), d.state(h, r))
		if len(r.Attempts) > 1 || len(r.Attempts) == 1 && r.Attempts[0].Error != "" && r.State != ledger.Unsuccessful {
			d.attempts(h, below, r)
		}
	}
	for i, c := range children {
		if i == len(children)-1 {
			d.hop(c, rest+"└─ ", rest+"   ")
		} else {
			d.hop(c, rest+"├─ ", rest+"│  ")
		}
	}
}

// state says where a receiver is.
func (d *drawing) state(h *ledger.Hop, r *ledger.Receiver) string {
	if text := d.ofOperation(h, r); text != "" {
		return text + why(h, r)
	}
	n := len(r.Attempts)
	of := fmt.Sprintf("attempt %d", n)
	if r.Of > 0 {
		of += fmt.Sprintf(" of %d", r.Of)
	}
	var text string
	switch r.State {
	case ledger.Waiting:
		text = "expected, has not begun"
		if n > 0 {
			text = "waiting"
		}
		text += d.next(r, "not before")
	case ledger.Running:
		text = "running, " + of
	case ledger.Retrying:
		text = fmt.Sprintf("retrying, %s failed%s", of, d.next(r, "next"))
	case ledger.Handled:
		text = "done"
		if n > 0 && r.Attempts[n-1].Took > 0 {
			text += " " + short(r.Attempts[n-1].Took)
		}
		if n > 1 {
			text += ", " + of
		}
	case ledger.DeadLetter:
		text = "dead-lettered after " + of
	case ledger.Abandoned:
		text = "unfinished, its operation is over"
	case ledger.Unsuccessful:
		if wasCanceled(h) {
			return r.Reason
		}
		text = string(r.State)
	default:
		text = string(r.State)
	}
	return text + why(h, r)
}

// why is what ends the text of a state.
func why(h *ledger.Hop, r *ledger.Receiver) (text string) {
	if r.Redriven > 0 {
		text += ", redriven " + times(r.Redriven)
	}
	if r.Reason != "" {
		text += ": " + reason(h, r.Reason)
	}
	return text
}

// next says when something is due.
func (d *drawing) next(r *ledger.Receiver, word string) string {
	if r.Next.IsZero() {
		return ""
	}
	text := fmt.Sprintf(", %s at %s", word, clock(r.Next))
	if in := r.Next.Sub(d.now); !d.now.IsZero() && in > 0 {
		text += " (in " + short(in) + ")"
	}
	return text
}

// attempts draws each try of a receiver.
func (d *drawing) attempts(h *ledger.Hop, branch string, r *ledger.Receiver) {
	for i, a := range r.Attempts {
		outcome := "runs"
		switch {
		case a.Error != "":
			outcome = "failed: " + reason(h, a.Error)
		case a.Took > 0:
			outcome = "done"
		case cutOff(h, r, i):
			outcome = "was cut off"
		case r.State.Final():
			outcome = "its end is not known"
		}
		if a.By != "" {
			outcome += " (redriven by " + a.By + ")"
		}
		took := ""
		if a.Took > 0 {
			took = " " + short(a.Took)
		}
		d.t.row(branch, "", fmt.Sprintf("  %s %s%s", number(a, r), clock(a.Began), took), outcome)
	}
}

// reason is why something failed, without the address that stands on the line already.
func reason(h *ledger.Hop, text string) string {
	return clip(strings.TrimPrefix(text, h.Address+": "), 160)
}

func number(a ledger.Attempt, r *ledger.Receiver) string {
	if r.Of == 0 {
		return fmt.Sprintf("#%d", a.Number)
	}
	return fmt.Sprintf("#%d of %d", a.Number, r.Of)
}

// receiverName is the service or group that receives: a queue's receiver is called by its address in the ledger, and by
// the service that has it here.
func receiverName(h *ledger.Hop, r *ledger.Receiver) string {
	if h.Style == ledger.StyleEvent {
		return r.Group
	}
	if r.Group != "" && r.Group != h.Address && h.Style != ledger.StyleSignal {
		return r.Group
	}
	for _, a := range slices.Backward(r.Attempts) {
		if i := strings.LastIndexByte(a.Instance, '-'); i > 0 {
			return a.Instance[:i]
		}
	}
	service, _, _ := strings.Cut(h.Address, ".")
	return service
}

// summary is the first line of a trail.
func summary(trail parley.Trail) string {
	var attempts, redrives, waiting, dead int
	var first, last time.Time
	note := func(t time.Time) {
		if t.IsZero() {
			return
		}
		if first.IsZero() || t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	for _, h := range trail.Hops {
		note(h.Accepted)
		for _, r := range h.Receivers {
			attempts, redrives = attempts+len(r.Attempts), redrives+r.Redriven
			switch {
			case r.State == ledger.DeadLetter:
				dead++
			case !r.State.Final() && partName(&h) == "": // an operation waits with its steps
				waiting++
			}
			for _, a := range r.Attempts {
				note(a.Began)
				note(a.Began.Add(a.Took))
			}
		}
	}
	words := []string{fmt.Sprintf("%s  %s", trail.Query, outcome(trail, waiting, dead)), short(last.Sub(first)), plural(len(trail.Hops), "hop"), plural(attempts, "attempt")}
	if redrives > 0 {
		words = append(words, plural(redrives, "redrive"))
	}
	if trail.Found != ledger.FoundID {
		words = append(words, "found as "+trail.Found)
	}
	return strings.Join(words, " · ")
}

func outcome(trail parley.Trail, waiting, dead int) string {
	failed := slices.ContainsFunc(trail.Hops, func(h ledger.Hop) bool { return h.ID == trail.Query && unsuccessful(&h) })
	canceled := slices.ContainsFunc(trail.Hops, func(h ledger.Hop) bool { return h.ID == trail.Query && wasCanceled(&h) })
	switch {
	case canceled:
		return "canceled"
	case failed && waiting > 0:
		return fmt.Sprintf("failed, %d waiting", waiting)
	case failed:
		return "failed"
	case waiting > 0:
		return fmt.Sprintf("%d waiting", waiting)
	case dead > 0:
		return fmt.Sprintf("%d dead-lettered", dead)
	case trail.Settled:
		return "done"
	case slices.ContainsFunc(trail.Hops, func(h ledger.Hop) bool { return !h.Settled() }):
		return "not everything is known"
	}
	return "done, with gaps"
}

func clock(t time.Time) string { return t.Local().Format("15:04:05") }

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
