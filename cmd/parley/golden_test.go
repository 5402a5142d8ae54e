package main

import (
	"regexp"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// Times are what differs between two runs of a script.
var (
	goldenStamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
	goldenClock = regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`)
	goldenTook  = regexp.MustCompile(`\b(\d+(\.\d+)?(µs|ms|h|m|s))+( ago)?`)
	goldenLeft  = regexp.MustCompile(`(at the latest )?(at |tomorrow )[\d:TIME]+ \(in [^)]+\)`)
	goldenHost  = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	goldenCount = regexp.MustCompile(`("revision": ?|Etag: ")[1-9]\d*`)
	goldenSpace = regexp.MustCompile(` {2,}`)
)

// cmdGolden is "golden FILE": it wants the last output to be as in the file, but for times, durations, ports, revisions above
// zero and the widths of columns.
func cmdGolden(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: golden FILE")
	}
	if diff := cmp.Diff(timeless(ts.ReadFile(args[0])), timeless(ts.ReadFile("stdout"))); diff != "" {
		ts.Fatalf("the output differs from %s (-want +got):\n%s", args[0], diff)
	}
}

func timeless(s string) string {
	s = goldenStamp.ReplaceAllString(s, "TIME")
	s = goldenHost.ReplaceAllString(s, "HTTP")
	s = goldenClock.ReplaceAllString(s, "TIME")
	s = goldenTook.ReplaceAllString(s, "TOOK")
	s = goldenCount.ReplaceAllString(s, "${1}N")
	s = goldenLeft.ReplaceAllString(s, "LATER")
	return goldenSpace.ReplaceAllString(s, "  ")
}
