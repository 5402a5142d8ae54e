package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-io/parley/ledger"
)

// What the names of some steps begin with, or are.
const (
	waitForSignal = "signal:"
	undoOf        = "undo:"
	sleeping      = "sleep"
)

// readable writes the names of steps as people read them.
var readable = strings.NewReplacer(waitForSignal, "", undoOf, "undo ")

// partName is the name of a step or a signal within its operation; "" = h is something else.
func partName(h *ledger.Hop) string {
	if h.Style != ledger.StyleStep && h.Style != ledger.StyleSignal {
		return ""
	}
	_, name, _ := strings.Cut(h.Address, "/")
	return or(name, h.Address)
}

// ofOperation says where an operation, a step or a signal is; "" = as every other receiver would be.
func (d *drawing) ofOperation(h *ledger.Hop, r *ledger.Receiver) string {
	switch h.Style {
	case ledger.StyleOperation:
		return d.operation(h, r)
	case ledger.StyleStep:
		return d.step(h, r)
	case ledger.StyleSignal:
		return d.signal(h, r)
	}
	return ""
}

func (d *drawing) operation(h *ledger.Hop, r *ledger.Receiver) string {
	n := len(r.Attempts)
	var text string
	switch {
	case r.State == ledger.Waiting && n == 0:
		return "accepted, has not begun"
	case r.State == ledger.Waiting:
		text = "cut off, waits to go on"
	case r.State == ledger.Running:
		text = "running since " + d.moment(began(h, r), began(h, r))
	case r.State == ledger.Handled:
		text = "done"
	case r.State == ledger.Unsuccessful:
		text = "failed"
	default:
		return "" // what became of the request for it
	}
	if n > 0 && r.State.Final() {
		last := r.Attempts[n-1]
		text += " " + short(last.Began.Add(last.Took).Sub(began(h, r)))
	}
	if n > 1 {
		text += fmt.Sprintf(", attempt %d", n)
	}
	return text + d.progress(h)
}

// began is when an operation was accepted, else when it was heard of first.
func began(h *ledger.Hop, r *ledger.Receiver) time.Time {
	if h.Accepted.IsZero() && len(r.Attempts) > 0 {
		return r.Attempts[0].Began
	}
	return h.Accepted
}

// progress counts the steps of an operation that are done, of those that have begun. What it called, sent or started
// itself was a step too; sending is done when it is accepted.
func (d *drawing) progress(h *ledger.Hop) string {
	var steps, done, undone int
	for _, c := range d.children[h.ID] {
		over := !slices.ContainsFunc(c.Receivers, func(r ledger.Receiver) bool { return r.State != ledger.Handled })
		switch {
		case c.Style == ledger.StyleSignal:
			continue
		case c.Style != ledger.StyleStep && c.Style != ledger.StyleCall:
			over = !c.Accepted.IsZero()
		case strings.HasPrefix(partName(c), undoOf):
			if over {
				undone++
			}
			continue
		}
		if steps++; over {
			done++
		}
	}
	var text string
	if steps > 0 {
		text = fmt.Sprintf(", %d of %s done", done, plural(steps, "step"))
	}
	if undone > 0 {
		text += fmt.Sprintf(", %d undone", undone)
	}
	return text
}

func (d *drawing) step(h *ledger.Hop, r *ledger.Receiver) string {
	n := len(r.Attempts)
	if n == 0 || r.State != ledger.Running && r.State != ledger.Waiting {
		return ""
	}
	text, since := "running", r.Attempts[n-1].Began
	switch name := partName(h); {
	case strings.HasPrefix(name, waitForSignal):
		text, since = "waiting for a signal", r.Attempts[0].Began
	case name == sleeping && !r.Next.IsZero():
		text, since = "sleeping", r.Attempts[0].Began
	case r.State == ledger.Waiting:
		return fmt.Sprintf("attempt %d was cut off, waits to begin again", n)
	case n > 1:
		text += fmt.Sprintf(", attempt %d,", n)
	}
	text += " since " + d.moment(since, since)
	if !r.Next.IsZero() {
		text += " (until " + d.moment(r.Next, since) + ")"
	}
	return text
}

func (d *drawing) signal(h *ledger.Hop, r *ledger.Receiver) string {
	switch {
	case r.State == ledger.Handled && len(r.Attempts) > 0:
		return "taken at " + d.moment(r.Attempts[0].Began, h.Accepted)
	case r.State == ledger.Waiting && len(r.Attempts) == 0 && !h.Accepted.IsZero():
		return "not taken yet, came at " + d.moment(h.Accepted, h.Accepted)
	case r.State == ledger.Abandoned:
		return "not taken, its operation is over"
	}
	return ""
}

// cutOff reports whether an attempt whose end is not recorded has been ended by that of its process or its operation.
func cutOff(h *ledger.Hop, r *ledger.Receiver, attempt int) bool {
	if h.Style != ledger.StyleOperation && h.Style != ledger.StyleStep {
		return false
	}
	return attempt < len(r.Attempts)-1 || r.State == ledger.Waiting || r.State == ledger.Abandoned
}

// unsuccessful reports whether h is an operation that has failed or was canceled.
func unsuccessful(h *ledger.Hop) bool {
	return h.Style == ledger.StyleOperation && slices.ContainsFunc(h.Receivers, func(r ledger.Receiver) bool { return r.State == ledger.Unsuccessful })
}

// moment is t in words, which stands beside another time: where now is not known, the day of that goes without saying.
func (d *drawing) moment(t, beside time.Time) string {
	now := d.now
	if now.IsZero() {
		now = beside
	}
	day := func(t time.Time) time.Time {
		year, month, day := t.Local().Date()
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	switch days := day(t).Sub(day(now)); {
	case days == 0:
		return clock(t)
	case days == 24*time.Hour && !d.now.IsZero():
		return "tomorrow " + t.Local().Format("15:04")
	case days == -24*time.Hour && !d.now.IsZero():
		return "yesterday " + t.Local().Format("15:04")
	}
	return t.Local().Format("2006-01-02 15:04")
}
