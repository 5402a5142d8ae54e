package outside_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/outside"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatIsWrongWithAnOperationIsFound(t *testing.T) {
	t.Parallel()
	stages := [][]string{{"ask", "look"}, {"pay"}}
	const asked = "started a.v1.x op\nstep-begin op ask\nstep-begin op look\nstep-end op look\nstep-end op ask\n"
	const paid = asked + "step-begin op pay\nstep-end op pay\n"
	for _, x := range []struct {
		lines string
		want  string // a part of the one problem; "" = none
	}{
		{"expected a.v1.x op ok\n", ""}, // it may never have been started
		{"expected a.v1.x op ok\n" + paid + "ended op ok\n", ""},
		{"expected a.v1.x op ok\n" + paid + "ended op ok\nended op ok\n", ""},
		{"expected a.v1.x op ok\nstep-begin op pay\nstep-begin op pay\nended op ok\n", ""}, // killed in its middle
		{"expected a.v1.x op ok\nstep-begin op ask\nstep-begin op ask.2\nended op ok\n", ""},
		{"expected a.v1.x op a.v1.no undo:pay\n" + paid + "ended op a.v1.no\nstep-begin op undo:pay\nstep-end op undo:pay\n", ""},
		{asked, "has not ended"},
		{"step-begin op ask\n", "has not ended"},
		{paid + "ended op ok\nended op a.v1.no\n", "more than once"},
		{"expected a.v1.x op ok\n" + paid + "ended op a.v1.no\n", "ended with a.v1.no, want ok"},
		{paid + "step-begin op ask\nended op ok\n", "ask has begun again after a later one"},
		{paid + "ended op ok\nstep-begin op pay\n", ""}, // killed before what it kept was durable
		{"expected a.v1.x op a.v1.no undo:pay\n" + paid + "ended op a.v1.no\nstep-begin op undo:pay\nstep-begin op pay\nstep-end op undo:pay\n", "pay has begun after an undo"},
		{paid + "step-begin op sing\nended op ok\n", "sing is of no stage"},
		{"expected a.v1.x op ok\n" + paid + "ended op ok\nstep-begin op undo:pay\n", "undo:pay has begun, and nothing was to be undone"},
		{"expected a.v1.x op a.v1.no undo:pay\n" + paid + "ended op a.v1.no\n", "undo:pay has not run"},
		{"expected a.v1.x op a.v1.no undo:pay\n" + paid + "ended op a.v1.no\nstep-begin op undo:pay\n", "undo:pay has not run"},
	} {
		story, err := outside.Read(written(t, x.lines))
		if err != nil {
			t.Fatal(err)
		}
		got := story.Operations["op"].Problems(stages)
		if x.want == "" && len(got) > 0 || x.want != "" && (len(got) != 1 || !strings.Contains(got[0], x.want)) {
			t.Errorf("problems = %q, want %q in:\n%s", got, x.want, x.lines)
		}
	}
}

func TestAMessageIsLostUntilEveryGroupHasHandledIt(t *testing.T) {
	t.Parallel()
	groups := func(string) []string { return []string{"x", "y"} }
	story, err := outside.Read(written(t, "confirmed command a.v1.c c1\nconfirmed command a.v1.c c2\nconfirmed command a.v1.c c2\n"+
		"handled command a.v1.c c1 -\nconfirmed event a.v1.e e1\nhandled event a.v1.e e1 x\nhandled ev"))
	if err != nil {
		t.Fatal(err)
	}
	want := []outside.Receipt{{ID: "c2"}, {ID: "e1", Group: "y"}}
	if got := story.Lost(groups); !slices.Equal(got, want) {
		t.Errorf("lost = %v, want %v", got, want)
	}
}

func TestALineThatIsNotUnderstoodIsAnError(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"", "sung a.v1.x op", "started op", "ended op", "step-begin op", "handled event a.v1.e e1"} {
		if _, err := outside.Read(written(t, line+"\n")); err == nil || !strings.Contains(err.Error(), "not understood") {
			t.Errorf("Read of %q = %v, want an error that shows it", line, err)
		}
	}
}

func TestALineThatCannotBeWrittenIsToldAtTheEnd(t *testing.T) {
	t.Parallel()
	full, err := outside.Open(t.TempDir(), "full")
	if err != nil {
		t.Fatal(err)
	}
	if err := full.Close(); err != nil {
		t.Fatal(err)
	}
	full.Expected("a.v1.x", "op", outside.OK)
	if err := full.Close(); err == nil || !strings.Contains(err.Error(), "outside log") {
		t.Errorf("Close = %v, want the line that is missing", err)
	}
}

func TestNoDirectoryIsALogThatWritesNothing(t *testing.T) {
	t.Parallel()
	log, err := outside.Open("", "nobody")
	if err != nil || log != nil {
		t.Fatalf("Open = %v, %v; want the nil Log", log, err)
	}
	log.HandledCommand(context.Background())
	log.Step(context.Background())()
	if err := log.Confirmed(parley.StyleCommand, "a.v1.c", "c1", parley.ErrNoAudience); err != parley.ErrNoAudience {
		t.Errorf("Confirmed = %v, want the error that it was given", err)
	}
	if err := log.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}

// written is a directory with a log of lines.
func written(t *testing.T, lines string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "service.log"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
