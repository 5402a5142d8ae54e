package transporttest

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestACardIsReadAsItWasWrittenAndNoticesWhatHasChanged(t *testing.T) {
	t.Parallel()
	one := Target[Site]{Name: "One"}
	features := transport.Features{MaxBytes: 1000, Dedupe: time.Minute, Delay: time.Hour, Streams: true, Survives: "power"}
	var results []Result
	for _, p := range slices.Backward(Brokers()) {
		results = append(results, Result{Rule: p.Rule, Outcome: Passed, Detail: ""})
	}
	results[3].Outcome, results[3].Detail = Declared, "it cannot"
	results[4].Outcome, results[4].Detail = NotRun, "it has no hammer"
	file := filepath.Join(t.TempDir(), "brokers", "one.json")
	newCard(one, features, results).write(t, file)
	kept, err := readCard(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := kept.differences(newCard(one, features, results)); len(got) > 0 {
		t.Errorf("differences to the same run = %q; want none", got)
	}
	if got := kept.differences(newCard(one, features, results[:2])); len(got) > 0 {
		t.Errorf("differences to a part of the same run = %q; want none", got)
	}
	better := slices.Clone(results)
	better[4].Outcome, better[4].Detail = Passed, ""
	if got := kept.differences(newCard(one, features, better)); len(got) > 0 {
		t.Errorf("differences to a run that had more means = %q; want none", got)
	}
	part := newCard(one, features, results[5:7])
	if part.keep(kept); len(part.Checks) != len(results) || part.check(results[4].Number) != kept.check(results[4].Number) {
		t.Errorf("a card of a part of the checks that keeps the rest = %+v; want that of %+v", part, kept)
	}
	for what, change := range map[string]func(f *transport.Features, r []Result){
		"another Features.Delay":   func(f *transport.Features, _ []Result) { f.Delay = 0 },
		"another Features.Streams": func(f *transport.Features, _ []Result) { f.Streams = false },
		"another reason":           func(_ *transport.Features, r []Result) { r[3].Detail = "it will not" },
		"a declaration more":       func(_ *transport.Features, r []Result) { r[0].Outcome, r[0].Detail = Declared, "no more" },
		"a check that is not run any longer": func(_ *transport.Features, r []Result) {
			r[5].Outcome, r[5].Detail = NotRun, "it has no hammer"
		},
		"another thing that is lacking": func(_ *transport.Features, r []Result) { r[4].Detail = "it has no nails" },
		"a declaration fewer":           func(_ *transport.Features, r []Result) { r[3].Outcome = Passed },
	} {
		f, r := features, slices.Clone(results)
		change(&f, r)
		if got := kept.differences(newCard(one, f, r)); len(got) != 1 {
			t.Errorf("%s: differences = %q; want one", what, got)
		}
	}
}

func TestWhatOnlyALongRunHasPassedIsMarkedAndNotContradictedByOneThatLacksItsMeans(t *testing.T) {
	t.Parallel()
	ordinary, long := Target[Site]{Name: "One"}, Target[Site]{Name: "One", Long: true}
	results := func(outcome Outcome, reason string) []Result {
		return []Result{{Rule: Rule{Number: 2}, Outcome: Passed}, {Rule: Rule{Number: 3}, Outcome: outcome, Detail: reason}}
	}
	card := func(of Target[Site], outcome Outcome, reason string) *Card {
		return newCard(of, transport.Features{}, results(outcome, reason))
	}
	before := card(ordinary, NotRun, "no disk")
	shown := card(long, Passed, "")
	shown.keep(before)
	if got, want := shown.Checks, []Line{{Number: 2, Outcome: Passed}, {Number: 3, Outcome: Passed, Long: true}}; !slices.Equal(got, want) {
		t.Fatalf("a long run recorded after an ordinary one = %+v; want %+v", got, want)
	}
	for _, c := range []struct {
		what        string
		run         *Card
		differences int
		recorded    Line // by an update with that run
	}{
		{"the same long run", card(long, Passed, ""), 0, Line{Number: 3, Outcome: Passed, Long: true}},
		{"a run without its means", card(ordinary, NotRun, "no disk"), 0, Line{Number: 3, Outcome: Passed, Long: true}},
		{"an ordinary run that has the means by now", card(ordinary, Passed, ""), 0, Line{Number: 3, Outcome: Passed}},
		{"a long run that fails, which says so itself", card(long, Failed, "got 1; want 0"), 0, Line{Number: 3, Outcome: Failed}},
		{"a declaration", card(ordinary, Declared, "it cannot"), 1, Line{Number: 3, Outcome: Declared, Reason: "it cannot"}},
	} {
		if got := shown.differences(c.run); len(got) != c.differences {
			t.Errorf("%s: differences = %q; want %d", c.what, got, c.differences)
		}
		c.run.keep(shown)
		if got := c.run.check(3); got != c.recorded {
			t.Errorf("%s: recorded as %+v; want %+v", c.what, got, c.recorded)
		}
	}
	if got := before.differences(card(ordinary, NotRun, "no disk")); len(got) > 0 {
		t.Errorf("differences of an ordinary run to itself = %q; want none", got)
	}
}
