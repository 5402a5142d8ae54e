package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/parley-io/parley/conform"
	"github.com/parley-io/parley/transport/transporttest"
)

// conformLine tells people where a run is: on a terminal in one line that is painted over, else a line for each check.
type conformLine struct {
	a      *app
	width  func() int // of the terminal; 0 = none
	screen screen
	shown  chan conform.Progress
	ended  chan struct{}
}

func newConformLine(a *app) *conformLine {
	l := &conformLine{a: a, shown: make(chan conform.Progress), ended: make(chan struct{}), width: func() int {
		width, _ := terminalSize(a.err)
		return width
	}}
	if os.Getenv("TERM") == "dumb" {
		l.width = func() int { return 0 }
	}
	go l.paint() // until end, which waits for it
	return l
}

// show hears of a check.
func (l *conformLine) show(p conform.Progress) { l.shown <- p }

// end takes the line away.
func (l *conformLine) end() {
	close(l.shown)
	<-l.ended
}

func (l *conformLine) paint() {
	defer close(l.ended)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var now conform.Progress
	var began time.Time
	failed := 0
	for {
		select {
		case p, open := <-l.shown:
			switch {
			case !open:
				l.repaint()
				return
			case p.Check.Outcome == "":
				now, began = p, time.Now()
			default:
				if p.Check.Outcome == transporttest.Failed {
					failed++
				}
				l.tell(p)
			}
		case <-tick.C:
		}
		if !began.IsZero() {
			l.repaint(progressWords(now, time.Since(began), failed))
		}
	}
}

// tell is for who has no terminal.
func (l *conformLine) tell(p conform.Progress) {
	if l.width() == 0 {
		l.a.note("%d/%d  %s  %d %s  %s", p.Nth, p.Of, p.Check.Outcome, p.Check.Number, p.Check.Name, short(p.Check.Took.Duration()))
	}
}

// progressWords are where a run is.
func progressWords(p conform.Progress, since time.Duration, failed int) string {
	words := []string{fmt.Sprintf("%d/%d", p.Nth, p.Of)}
	if failed > 0 {
		words = append(words, fmt.Sprintf("%d failed", failed))
	}
	return strings.Join(append(words, fmt.Sprintf("%d %s", p.Check.Number, p.Check.Name), short(since.Round(time.Second))), "  ")
}

func (l *conformLine) repaint(texts ...string) {
	if width := l.width(); width > 0 && !l.a.quiet {
		_ = l.screen.repaint(l.a.err, plain(texts), width) // nobody can be told that they cannot be told
	}
}
