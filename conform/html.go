package conform

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/parley-io/parley/transport/transporttest"
)

//go:embed report.html
var page string

// HTML writes the report as one page that needs nothing from elsewhere: no script, no font, no picture.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"class": class, "took": took, "span": span, "size": size,
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("conform: report: %w", err)
	}
	if err := t.Execute(w, sheet{Report: r, Picture: draw(r)}); err != nil {
		return fmt.Errorf("conform: report: %w", err)
	}
	return nil
}

// sheet is what the page is made of.
type sheet struct {
	*Report
	Picture picture
}

// Verdict is the report in a sentence.
func (s sheet) Verdict() string {
	c := s.Counts
	switch {
	case c.Failed > 0:
		return fmt.Sprintf("%d of %d promises broken", c.Failed, c.Failed+c.Passed)
	case s.Stopped != "":
		return "Stopped before the end"
	case c.Passed == 0:
		return "Nothing was tried"
	case c.NotRun > 0:
		return fmt.Sprintf("Every promise kept that could be tried: %d", c.Passed)
	}
	return fmt.Sprintf("All %d promises kept", c.Passed)
}

// Mood is the class of the verdict.
func (s sheet) Mood() string {
	switch {
	case s.Counts.Failed > 0:
		return class(transporttest.Failed)
	case s.Stopped != "", s.Counts.Passed == 0:
		return class(transporttest.NotRun)
	}
	return class(transporttest.Passed)
}

// group is the checks of a suite.
type group struct {
	Title, About string
	Checks       []Check
}

// Groups are the checks by suite.
func (s sheet) Groups() (all []group) {
	for _, g := range []group{
		{Title: "The broker", About: "What any of our brokers keeps by itself"},
		{Title: "Delivery", About: "What attempts, retries and dead letters keep on top of it"},
	} {
		suite := SuiteBroker
		if len(all) > 0 {
			suite = SuiteDelivery
		}
		for _, c := range s.Checks {
			if c.Suite == suite {
				g.Checks = append(g.Checks, c)
			}
		}
		all = append(all, g)
	}
	return all
}

// class is an outcome as a class of CSS.
func class(o transporttest.Outcome) string {
	switch o {
	case transporttest.Passed, transporttest.Declared, transporttest.Failed:
		return string(o)
	}
	return "notrun"
}

// took is a duration as people read it.
func took(m Milliseconds) string {
	d := m.Duration()
	switch {
	case d < time.Second:
		return d.String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// span is a duration of the features.
func span(text string) string {
	const day = 24 * time.Hour
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return text
	case d == 0:
		return "none"
	case d >= 2*365*day:
		return fmt.Sprintf("%d years", d/(365*day))
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Second).String()
}

// size is a number of bytes.
func size(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%d bytes", n)
}
