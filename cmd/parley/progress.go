package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
)

// progress shows an operation again and again: on a terminal in place, else a line of JSON for each change.
type progress struct {
	a      *app
	size   func() (width, height int) // of the terminal; 0 = none
	people bool                       // read the output, as it comes
	looks  looks
	screen screen
	shown  map[string]bool // lines, where nothing can be painted over
	last   sighting
}

func newProgress(a *app) *progress {
	tty := terminal(a.out)
	return &progress{
		a: a, size: func() (int, int) { return terminalSize(a.out) }, people: a.table() && tty,
		looks: looksOf(os.Getenv, tty), shown: make(map[string]bool),
	}
}

// show shows a change.
func (p *progress) show(s sighting, now time.Time) error {
	was := p.last
	p.last = s
	switch {
	case p.people:
		return p.paint(now)
	case s.away && !was.away && s.status.Revision > 0:
		p.a.note("its owner is away; the operation goes on when it is back")
	}
	if p.a.output == outputJSON || s.status.Name == "" || was.status.ID != "" && s.status.Revision == was.status.Revision {
		return nil
	}
	return p.a.printJSON(s.status)
}

// tick lets the times on a terminal go on.
func (p *progress) tick(now time.Time) error {
	if _, height := p.size(); p.people && height > 0 && !p.looks.dumb && p.last.status.ID != "" {
		return p.paint(now)
	}
	return nil
}

// paint shows people what was seen last.
func (p *progress) paint(now time.Time) error {
	width, height := p.size()
	lines := drawOperation(p.last, now, p.looks)
	if height > 0 && len(lines) < height && !p.looks.dumb { // what has scrolled away cannot be painted over
		return p.screen.repaint(p.a.out, lines, width)
	}
	p.screen = screen{}
	for _, l := range drawOperation(p.last, time.Time{}, p.looks) {
		if key := strings.Join(strings.Fields(l.text), " "); !p.shown[key] {
			p.shown[key] = true
			if _, err := fmt.Fprintln(p.a.out, l.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// end adds the result of an operation that is Done.
func (p *progress) end(s parley.OperationStatus) error {
	if p.people && len(s.Result) > 0 {
		return p.a.printJSON(s.Result, jsontext.WithIndent("  "))
	}
	return p.leave(s)
}

// leave prints what -o json has not printed yet.
func (p *progress) leave(s parley.OperationStatus) error {
	if p.a.output == outputJSON && s.Status != "" {
		return p.a.printJSON(s, jsontext.WithIndent("  "))
	}
	return nil
}

// looks are how an operation is drawn.
type looks struct {
	marks  map[string]string // by the state of a step, "undone" and "left"
	colour bool
	dumb   bool // nothing can be painted over
}

const (
	markUndone = "undone"
	markLeft   = "left"
)

// looksOf follows the environment: NO_COLOR, TERM=dumb, and a locale that is not UTF-8.
func looksOf(env func(string) string, terminal bool) looks {
	l := looks{dumb: env("TERM") == "dumb"}
	l.colour = terminal && !l.dumb && env("NO_COLOR") == ""
	l.marks = map[string]string{
		parley.StepDone: "✔", parley.StepRunning: "▶", parley.StepWaiting: "◌", parley.StepRetrying: "↻", parley.StepFailed: "✖",
		markUndone: "↩", markLeft: "·", string(parley.StyleOperation): "⟳",
	}
	locale := or(env("LC_ALL"), or(env("LC_CTYPE"), env("LANG")))
	if plain := strings.ToLower(strings.ReplaceAll(locale, "-", "")); l.dumb || terminal && locale != "" && !strings.HasSuffix(plain, "utf8") {
		l.marks = map[string]string{
			parley.StepDone: "+", parley.StepRunning: ">", parley.StepWaiting: ".", parley.StepRetrying: "?", parley.StepFailed: "x",
			markUndone: "<", markLeft: "-", string(parley.StyleOperation): "*",
		}
	}
	return l
}

// drawOperation draws an operation with its steps and what is left. A zero now leaves out what changes without news.
func drawOperation(seen sighting, now time.Time, l looks) []line {
	s := seen.status
	t := newTable()
	t.row(fmt.Sprintf("%s %s  %s  %s", l.marks[string(parley.StyleOperation)], or(s.Name, "?"), s.ID, headOf(seen, now)))
	for _, step := range s.Metadata.Steps {
		mark := l.marks[step.State]
		if step.Kind == operation.KindUndo && step.State == parley.StepDone {
			mark = l.marks[markUndone]
		}
		t.row("  "+mark+" "+stepName(step), stepState(step, now))
	}
	for _, name := range s.Metadata.Left {
		t.row("  " + l.marks[markLeft] + " " + name)
	}
	if len(s.Metadata.Signals) > 0 {
		t.row("  signals not taken yet: " + strings.Join(s.Metadata.Signals, ", "))
	}
	if seen.away {
		t.row("  " + awayWords(s))
	}
	all := strings.Split(strings.TrimSuffix(t.String(), "\n"), "\n")
	lines := make([]line, len(all))
	left := 1 + len(s.Metadata.Steps)
	for i, text := range all {
		lines[i] = line{text, l.colour && i >= left && i < left+len(s.Metadata.Left)}
	}
	return lines
}

func awayWords(s parley.OperationStatus) string {
	if s.Metadata.Queued {
		return "its owner is away; the request waits in its queue"
	}
	return "its owner is away; it goes on when the owner is back"
}

// headOf is where an operation is, in a line.
func headOf(seen sighting, now time.Time) string {
	s := seen.status
	words := []string{stateWords(s)}
	switch {
	case s.Created.IsZero():
	case s.Done:
		words = append(words, "took "+short(s.Updated.Sub(s.Created)))
	case !now.IsZero():
		words = append(words, short(now.Sub(s.Created).Round(time.Second)))
	}
	if p := s.Metadata.Progress; p.Of > 0 {
		words = append(words, fmt.Sprintf("%d of %s done", p.Done, plural(p.Of, "step")))
	}
	if !s.Done && !s.Deadline.IsZero() {
		words = append(words, "deadline "+until(s.Deadline, now))
	}
	return strings.Join(words, " · ")
}

// stateWords are the status of an operation, and why.
func stateWords(s parley.OperationStatus) string {
	because := func(word, why string) string {
		if why == "" {
			return word
		}
		return word + ": " + clip(why, 300)
	}
	failure := ""
	if s.Error != nil {
		failure = or(s.Error.Detail, s.Error.Title)
	}
	switch s.Status {
	case operation.NotStarted:
		return "has not begun"
	case operation.Running:
		return "running"
	case operation.Canceling:
		return because("canceling", s.Metadata.Reason)
	case operation.Compensating:
		return because("undoing", failure)
	case operation.Parked:
		return because("parked", s.Metadata.Parked)
	case operation.Succeeded:
		return "done"
	case operation.Failed:
		return because("failed", failure)
	case operation.Canceled:
		return because("canceled", s.Metadata.Reason)
	}
	return or(string(s.Status), "not known")
}

// stepName is a step as people call it.
func stepName(s parley.StepStatus) string {
	return readable.Replace(strings.TrimSuffix(s.Name, "#1"))
}

// stepState is where a step is, in words.
func stepState(s parley.StepStatus, now time.Time) string {
	attempt := fmt.Sprintf("attempt %d", s.Attempt)
	if s.Of > 0 {
		attempt += fmt.Sprintf(" of %d", s.Of)
	}
	again := ""
	if s.Attempt > 1 {
		again = ", " + attempt
	}
	switch s.State {
	case parley.StepDone:
		return short(s.Ended.Sub(s.Begun)) + again
	case parley.StepFailed:
		return "failed" + again + ": " + clip(s.Error, 300)
	case parley.StepRetrying:
		text := attempt + " failed: " + clip(s.Error, 300)
		if !s.Next.IsZero() {
			text += "; again " + until(s.Next, now)
		}
		return text
	case parley.StepRunning:
		if now.IsZero() {
			return "running" + again
		}
		return "running " + short(now.Sub(s.Begun).Round(100*time.Millisecond)) + again
	}
	text := "waiting"
	switch s.Kind {
	case operation.KindSignal:
		text = "waiting for the signal"
	case operation.KindSleep:
		text = "sleeping"
	}
	if !s.Next.IsZero() && s.Next.Before(operation.Never) {
		text += ", at the latest " + until(s.Next, now)
	}
	return text
}

// until is a time to come.
func until(t, now time.Time) string {
	text := (&drawing{now: now}).moment(t, t)
	if text[0] >= '0' && text[0] <= '9' {
		text = "at " + text
	}
	if left := t.Sub(now); !now.IsZero() && left > 0 {
		text += " (in " + short(left.Round(time.Second)) + ")"
	}
	return text
}
