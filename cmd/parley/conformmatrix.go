package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/conform"
	"github.com/parley-io/parley/transport/transporttest"
)

// showConformance prints the matrix, or the report as JSON.
func (a *app) showConformance(r *conform.Report) error {
	if !a.table() {
		return show(a, r, r.Checks, nil)
	}
	_, err := io.WriteString(a.out, drawConformance(r, looksOf(os.Getenv, terminal(a.out))))
	if r.Counts.NotRun > 0 && r.Stopped == "" {
		a.note("what was not run has shown nothing: a broker that runs elsewhere, for one, is not ours to kill")
	}
	return err
}

// drawConformance is a line for each check, and below what there is to say about it.
func drawConformance(r *conform.Report, l looks) string {
	marks := map[transporttest.Outcome]string{transporttest.Passed: l.marks[parley.StepDone], transporttest.Failed: l.marks[parley.StepFailed]}
	width := 0
	for _, c := range r.Checks {
		width = max(width, utf8.RuneCountInString(c.Name))
	}
	var b strings.Builder
	suite := ""
	for _, c := range r.Checks {
		if c.Suite != suite {
			suite = c.Suite
			b.WriteString(suite + "\n")
		}
		fmt.Fprintf(&b, "%s %-8s %3d  %-*s  %8s\n", or(marks[c.Outcome], l.marks[markLeft]), c.Outcome, c.Number, width, c.Name, short(c.Took.Duration()))
		for text := range strings.Lines(c.Detail) {
			b.WriteString("               " + strings.TrimRight(text, "\n") + "\n")
		}
	}
	b.WriteString(r.String() + "\n")
	return b.String()
}
