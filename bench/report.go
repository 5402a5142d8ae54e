package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// report is what a run found.
type report struct {
	Machine machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Rows    []row    `json:"rows"`    // absolute figures, which drift with the machine
	Notes   []note   `json:"notes"`   // ratios without a goal
	Targets []target `json:"targets"` // ratios with one
	Limits  []string `json:"limits"`  // what keeps the figures from being better, and how they were judged
	Sheets  []sheet  `json:"sheets"`  // what is compared in more than one respect

	log io.Writer // of progress
}

// row is one variant: medians over the rounds.
type row struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	CPU       float64 `json:"cpu_us"` // of all processes that took part, for one
}

// spread is the median of the rounds, and the lowest and highest of them.
type spread struct {
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// sheet is a table with a column for each respect.
type sheet struct {
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Lines   []line   `json:"lines"`
	Digits  int      `json:"-"` // behind the point, for people
}

type line struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"` // by column
}

type note struct {
	Name string `json:"name"`
	spread
}

type target struct {
	Name string `json:"name"`
	spread
	Goal   float64 `json:"goal"`
	AtMost bool    `json:"at_most,omitzero"` // the ratio must not be above the goal; else not below
	OK     bool    `json:"ok"`
	Why    string  `json:"why,omitzero"` // it is short, if not by the ratio
}

// short reports whether a target is.
func (r *report) short() bool {
	return slices.ContainsFunc(r.Targets, func(t target) bool { return !t.OK })
}

// atLeast adds a target that the median of ratios must reach.
func (r *report) atLeast(name string, ratios []float64, goal float64) {
	s := spreadOf(ratios)
	r.Targets = append(r.Targets, target{Name: name, spread: s, Goal: goal, OK: s.Ratio >= goal})
}

// atMost adds a target above which the median of values must not be.
func (r *report) atMost(name string, values []float64, goal float64) {
	s := spreadOf(values)
	r.Targets = append(r.Targets, target{Name: name, spread: s, Goal: goal, AtMost: true, OK: s.Ratio <= goal})
}

// limit says in words what the figures do not.
func (r *report) limit(format string, args ...any) {
	r.Limits = append(r.Limits, fmt.Sprintf(format, args...))
}

func (r *report) note(name string, ratios []float64) {
	r.Notes = append(r.Notes, note{name, spreadOf(ratios)})
}

func (r *report) addRows(names []string, found map[string][]figures) {
	for _, name := range names {
		rounds := found[name]
		r.Rows = append(r.Rows, row{
			Name:      name,
			PerSecond: medianOf(rounds, figures.perSecond),
			P50:       medianOf(rounds, figures.p50),
			P99:       medianOf(rounds, figures.p99),
			CPU:       medianOf(rounds, func(f figures) float64 { return micro(f.CPU) / float64(f.Count) }),
		})
	}
}

// progress says on the log how far a suite is.
func (r *report) progress(suite string) func(format string, args ...any) {
	return func(format string, args ...any) {
		_, _ = fmt.Fprintf(r.log, "%s: %s\n", suite, fmt.Sprintf(format, args...)) // only for who looks on
	}
}

func spreadOf(values []float64) spread {
	return spread{Ratio: median(values), Low: slices.Min(values), High: slices.Max(values)}
}

// writeTable writes the figures and then a line for each target.
func (r *report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	r.Machine.write(t)
	if len(r.Rows) > 0 {
		fmt.Fprintf(t, "\nmedians of %d rounds:\t/s\tp50 µs\tp99 µs\tCPU µs each\t\n", r.Rounds)
	}
	for _, v := range r.Rows {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.1f\t\n", v.Name, v.PerSecond, v.P50, v.P99, v.CPU)
	}
	if len(r.Notes) > 0 {
		fmt.Fprint(t, "\nwithout a goal:\tmedian\tlowest\thighest\t\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(t, "%s\t%.4g\t%.4g\t%.4g\t\n", n.Name, n.Ratio, n.Low, n.High)
	}
	if len(r.Targets) > 0 {
		fmt.Fprint(t, "\nwith a goal:\tmedian\tlowest\thighest\t\n")
	}
	for _, v := range r.Targets {
		fmt.Fprintf(t, "%s\t%.4g\t%.4g\t%.4g\t\n", v.Name, v.Ratio, v.Low, v.High)
	}
	for _, s := range r.Sheets {
		s.write(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, words := range r.Limits {
		fmt.Fprintln(w, words)
	}
	for _, v := range r.Targets {
		if _, err := fmt.Fprintln(w, v); err != nil {
			return err
		}
	}
	return nil
}

// write writes a column for each respect.
func (s sheet) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s:\t%s\t\n", s.Title, strings.Join(s.Columns, "\t"))
	for _, l := range s.Lines {
		fmt.Fprint(w, l.Name)
		for _, v := range l.Values {
			digits := s.Digits
			if v == math.Trunc(v) {
				digits = 0
			}
			fmt.Fprint(w, "\t", strconv.FormatFloat(v, 'f', digits, 64))
		}
		fmt.Fprintln(w, "\t")
	}
}

// String is the line of a target: "target NAME RATIO GOAL ok|short", and why if the ratio does not say. A ratio that must reach
// its goal is rounded down, and one that must not exceed it up, so that one that is short never looks as if it were not.
func (t target) String() string {
	ratio := math.Floor(t.Ratio*1000) / 1000
	if t.AtMost {
		ratio = math.Ceil(t.Ratio*1000) / 1000
	}
	verdict := "ok"
	if !t.OK {
		verdict = "short"
	}
	line := fmt.Sprintf("target %s %.4g %.4g %s", t.Name, ratio, t.Goal, verdict)
	if t.Why != "" {
		line += " (" + t.Why + ")"
	}
	return line
}

func (r *report) writeJSON(w io.Writer) error {
	return json.MarshalWrite(w, r, jsontext.Multiline(true))
}
