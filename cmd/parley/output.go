package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// show prints data: as a table, as one JSON value, or as a line for each of rows (v itself if there are none to tell
// apart).
func show[R any](a *app, v any, rows []R, table func(t *table)) error {
	switch a.output {
	case outputJSON:
		return a.printJSON(v, jsontext.WithIndent("  "))
	case outputLines:
		for _, r := range rows {
			if err := a.printJSON(r); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable()
	table(t)
	_, err := fmt.Fprint(a.out, t)
	return err
}

// showOne is show of a single thing.
func showOne(a *app, v any, table func(t *table)) error { return show(a, v, []any{v}, table) }

// printJSON prints one JSON value and a line feed. Durations are text, as in "1.5s".
func (a *app) printJSON(v any, options ...json.Options) error {
	b, err := json.Marshal(v, append(options, json.Deterministic(true))...)
	if err != nil {
		return fmt.Errorf("print %T as JSON: %w", v, err)
	}
	_, err = fmt.Fprintf(a.out, "%s\n", b)
	return err
}

// table is text in columns.
type table struct {
	b strings.Builder
	w *tabwriter.Writer
}

func newTable() *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.b, 0, 0, 3, ' ', 0)
	return t
}

// row adds a line. What stands behind the last column may have any length.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = strings.ReplaceAll(fmt.Sprint(c), "\n", " ")
	}
	_, _ = fmt.Fprintln(t.w, strings.Join(texts, "\t")) // into a strings.Builder
}

// String is the table, without blanks at the ends of its lines.
func (t *table) String() string {
	_ = t.w.Flush() // a strings.Builder takes everything
	var b strings.Builder
	for line := range strings.Lines(t.b.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// lines are those of the table.
func (t *table) lines() []string { return strings.Split(strings.TrimSuffix(t.String(), "\n"), "\n") }

// ago is how long ago t was; "-" = never.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return short(now.Sub(t)) + " ago"
}

// short is a duration as people read it: two or three digits and a unit.
func short(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		text := d.Round(time.Second).String()
		if strings.HasSuffix(text, "m0s") {
			text = strings.TrimSuffix(text, "0s")
		}
		return text
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// clip shortens what is shown on one line.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "·")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
