package transporttest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/transport"
)

// Card is what one broker can do and what was tried on it, as a file of docs/brokers keeps it; [Table] makes a page of
// them.
type Card struct {
	Name     string `json:"name"`
	MaxBytes int    `json:"max_bytes"`
	Dedupe   string `json:"dedupe"` // as [time.Duration] prints it, "0s" = none
	Delay    string `json:"delay"`
	Streams  bool   `json:"streams"`
	Audience bool   `json:"audience"`
	Survives string `json:"survives"`
	Checks   []Line `json:"checks"` // by number
}

// Line is the outcome of one check.
type Line struct {
	Number  int     `json:"number"`
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitzero"` // of what is declared or was not run
	// Long is of what has passed, but only in a run whose [Target.Long] is set: those that lack its means do not run it.
	Long bool `json:"long,omitzero"`
}

// updateVariable of the environment, when it is set, lets [Record] write.
const updateVariable = "PARLEY_UPDATE"

// Record compares what a target can do and the results of a run with its file in docs/brokers, so that the page about
// brokers cannot say anything else than the suite. A check that is not run any longer is an error, one that is run for
// once is none. What has passed in a run with [Target.Long] remains so where a run without is not able to try it, and is
// contradicted by one that tries it. With PARLEY_UPDATE=1 it writes the file, what has failed too. It starts the target
// once more to ask for its Features. Results of a part of the checks are compared and written as far as they go.
func Record(t *testing.T, target Target[Site], results []Result) {
	t.Helper()
	if len(results) == 0 {
		return // what was run is chosen by -run
	}
	features, err := ask(t.Context(), target)
	if err != nil {
		t.Errorf("asking %s for its features: %v", target.Name, err)
		return
	}
	got := newCard(target, features, results)
	file := filepath.Join(docs(t), "brokers", slug(target.Name)+".json")
	want, err := readCard(file)
	if os.Getenv(updateVariable) != "" {
		if err == nil {
			got.keep(want)
		}
		got.write(t, file)
		return
	}
	if err != nil {
		t.Errorf("%v; run it with %s=1, and then the tests of transport/transporttest", err, updateVariable)
		return
	}
	if what := want.differences(got); len(what) > 0 {
		t.Errorf("%s is out of date; run it with %s=1, and then the tests of transport/transporttest:\n%s", file, updateVariable, strings.Join(what, "\n"))
	}
}

func ask(ctx context.Context, target Target[Site]) (f transport.Features, err error) {
	site, stop, err := target.Start(ctx)
	if err != nil {
		return f, err
	}
	if stop != nil {
		defer func() { err = errors.Join(err, stop(context.WithoutCancel(ctx))) }()
	}
	b, err := site.Open(ctx)
	if err != nil {
		return f, err
	}
	return b.Features(), b.Close(ctx)
}

func newCard(target Target[Site], f transport.Features, results []Result) *Card {
	c := &Card{
		Name: target.Name, MaxBytes: f.MaxBytes, Dedupe: f.Dedupe.String(), Delay: f.Delay.String(),
		Streams: f.Streams, Audience: f.Audience, Survives: f.Survives,
	}
	for _, r := range results {
		x := Line{Number: r.Number, Outcome: r.Outcome, Long: target.Long && r.Outcome == Passed}
		if r.Outcome == Declared || r.Outcome == NotRun {
			x.Reason = r.Detail
		}
		c.Checks = append(c.Checks, x)
	}
	c.sort()
	return c
}

// check is the outcome of a number; the zero Line when it has none.
func (c *Card) check(number int) Line {
	for _, x := range c.Checks {
		if x.Number == number {
			return x
		}
	}
	return Line{}
}

// keep has c say what an older card says about checks that were not tried this time, and of those that an ordinary run
// has passed, that it did.
func (c *Card) keep(older *Card) {
	for _, x := range older.Checks {
		switch i := slices.IndexFunc(c.Checks, func(y Line) bool { return y.Number == x.Number }); {
		case i < 0:
			c.Checks = append(c.Checks, x)
		case x.Long && c.Checks[i].Outcome == NotRun, x.Outcome == Passed && c.Checks[i].Outcome == Passed && !x.Long:
			c.Checks[i] = x
		}
	}
	c.sort()
}

func (c *Card) sort() {
	slices.SortFunc(c.Checks, func(a, b Line) int { return cmp.Compare(a.Number, b.Number) })
}

// differences are what a run says otherwise than c. A check that has failed says so itself.
func (c *Card) differences(run *Card) (what []string) {
	differ := func(name string, got, want any) {
		if got != want {
			what = append(what, fmt.Sprintf("got %s %v; want %v", name, got, want))
		}
	}
	differ("name", run.Name, c.Name)
	differ("MaxBytes", run.MaxBytes, c.MaxBytes)
	differ("Dedupe", run.Dedupe, c.Dedupe)
	differ("Delay", run.Delay, c.Delay)
	differ("Streams", run.Streams, c.Streams)
	differ("Audience", run.Audience, c.Audience)
	differ("Survives", run.Survives, c.Survives)
	for _, x := range run.Checks {
		switch known := c.check(x.Number); {
		case x.Outcome == Failed:
		case x.Outcome == Passed && (known.Outcome == Passed || known.Outcome == NotRun):
		case x.Outcome == NotRun && known.Long:
		default:
			differ(fmt.Sprintf("check %d", x.Number), x, known)
		}
	}
	return what
}

func (c *Card) write(t *testing.T, file string) {
	t.Helper()
	text, err := json.Marshal(c, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		t.Errorf("writing %s: %v", file, err)
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil { //nolint:gosec // a file of this repository, for all to read
		t.Error(err)
	}
}

func readCard(file string) (*Card, error) {
	text, err := os.ReadFile(file) //nolint:gosec // a file of this repository
	if err != nil {
		return nil, err
	}
	c := new(Card)
	if err := json.UnmarshalRead(bytes.NewReader(text), c, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// ReadCards are the cards of a directory such as docs/brokers, by name.
func ReadCards(dir string) ([]*Card, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var cards []*Card
	for _, f := range files {
		c, err := readCard(f)
		if err != nil {
			return nil, err
		}
		cards = append(cards, c)
	}
	slices.SortFunc(cards, func(a, b *Card) int { return cmp.Compare(a.Name, b.Name) })
	return cards, nil
}

// docs is the directory of that name in this module.
func docs(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "docs")
		}
		up := filepath.Dir(dir)
		if up == dir {
			err = errors.New("no go.mod in any directory above this one")
		}
		dir = up
	}
	t.Fatalf("looking for docs: %v", err)
	return ""
}

// slug is a name as a file's.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return strings.Join(words, "-")
}

// span is a duration for people.
func span(text string) string {
	d, err := time.ParseDuration(text)
	const year = 365 * 24 * time.Hour
	switch {
	case err != nil:
		return text
	case d == 0:
		return "none"
	case d >= year:
		return fmt.Sprintf("%d years", d/year)
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}
