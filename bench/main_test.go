package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// TestMain makes this binary what `bench` starts of itself.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

var targetLine = regexp.MustCompile(`(?m)^target (\S+) (\S+) (\S+) (ok|short)`)

func TestAShortRunOfAllSuitesMeasuresEveryTarget(t *testing.T) {
	var out, log bytes.Buffer
	profiles := t.TempDir()
	args := []string{"-rounds", "1", "-window", "60ms", "-steady", "300ms", "-waiting", "200", "-down", "300ms",
		"-dir", t.TempDir(), "-profile", profiles}
	short, err := run(t.Context(), args, &out, &log)
	if err != nil {
		t.Fatalf("run: %v; want figures\n%s", err, &log)
	}
	goals := map[string]string{
		"calls-rest-c1": "0.9", "calls-rest-c16": "0.9", "calls-rest-c64": "0.9",
		"op3-c1": "5", "op3-c64": "1", "waiting-200": "20", "waiting-200-goroutines": "10",
	}
	for _, name := range messageTargets(embeddedSite, embeddedSite) {
		goals[name] = ""
	}
	anyShort := false
	for _, line := range targetLine.FindAllStringSubmatch(out.String(), -1) {
		if goal, ok := goals[line[1]]; !ok || goal != "" && goal != line[3] {
			t.Errorf("target %s has the goal %s; want %q", line[1], line[3], goal)
		}
		delete(goals, line[1])
		anyShort = anyShort || line[4] == "short"
	}
	if len(goals) > 0 {
		t.Errorf("no line for %v; want one for each target, in\n%s", goals, &out)
	}
	if short != anyShort {
		t.Errorf("run says short = %v, its lines say %v", short, anyShort)
	}
	files, err := os.ReadDir(profiles)
	if want := len(roles) - 2 + len(brands(embeddedSite)) + 3 + 1; err != nil || len(files) != want {
		t.Errorf("%d profiles, %v; want %d: of each other role, a messenger for each client, two ends and the broker of a backlog, and of the heap",
			len(files), err, want)
	}
	for _, s := range styles {
		if n := strings.Count(out.String(), s.name); n != 2 {
			t.Errorf("%q is there %d times; want it in two tables, in\n%s", s.name, n, &out)
		}
	}
	for _, e := range experiments {
		if !strings.Contains(out.String(), e.name) {
			t.Errorf("no line for %q, in\n%s", e.name, &out)
		}
	}
}

func TestAShortRunOnEachServerMeasuresItsTargets(t *testing.T) {
	var out, log bytes.Buffer
	args := []string{"-suite", "messages", "-network", "rabbitmq,kafka,nats", "-rounds", "1", "-window", "100ms", "-steady", "300ms", "-dir", t.TempDir()}
	if _, err := run(t.Context(), args, &out, &log); err != nil {
		t.Fatalf("run: %v; want figures\n%s", err, &log)
	}
	var got []string
	for _, line := range targetLine.FindAllStringSubmatch(out.String(), -1) {
		got = append(got, line[1])
	}
	want := slices.Concat(messageTargets("rabbitmq", "amqp"), messageTargets("kafka", "kafka"), messageTargets("nats", "nats"))
	if !slices.Equal(got, want) {
		t.Errorf("targets %q; want %q, in\n%s", got, want, &out)
	}
}

func TestOnlyWhatIsNamedIsCompared(t *testing.T) {
	var out, log bytes.Buffer
	args := []string{"-suite", "messages", "-only", "publish-64,keys", "-rounds", "1", "-window", "60ms", "-dir", t.TempDir()}
	if _, err := run(t.Context(), args, &out, &log); err != nil {
		t.Fatalf("run: %v; want figures\n%s", err, &log)
	}
	var got []string
	for _, line := range targetLine.FindAllStringSubmatch(out.String(), -1) {
		got = append(got, line[1])
	}
	if want := []string{"publish-64-embedded", "keys-embedded"}; !slices.Equal(got, want) {
		t.Errorf("targets %q; want %q, in\n%s", got, want, &out)
	}
	if strings.Contains(out.String(), consuming) {
		t.Errorf("%q was measured; want only what is compared, in\n%s", consuming, &out)
	}
}

func TestWhatWasMeasuredBeforeAFailureIsTold(t *testing.T) {
	t.Setenv("PARLEY_TEST_NATS", "nats://127.0.0.1:1") // where nothing listens
	var out, log bytes.Buffer
	args := []string{"-suite", "messages", "-only", "publish-64", "-network", "embedded,nats", "-rounds", "1", "-window", "60ms", "-dir", t.TempDir()}
	if _, err := run(t.Context(), args, &out, &log); err == nil {
		t.Error("run with a server that does not answer: no error")
	}
	if !strings.Contains(out.String(), "target publish-64-embedded") {
		t.Errorf("got %q; want the target that was measured", &out)
	}
}

func TestWrongFlagsAreReportedTogether(t *testing.T) {
	_, err := run(t.Context(), []string{"-suite", "x", "-network", "pigeon", "-rounds", "0", "-o", "xml", "-waiting", "0", "-only", "nix"}, io.Discard, io.Discard)
	for _, want := range []string{"-suite", "-network", "-rounds", "-o", "-waiting", "-only"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("run = %v; want it to name %s", err, want)
		}
	}
}

func TestATargetIsShortBelowItsGoal(t *testing.T) {
	var r report
	r.atLeast("a", []float64{0.9, 5, 0.1}, 0.9)
	if r.short() {
		t.Errorf("a median of exactly the goal: got short in %v, want ok", r.Targets)
	}
	r.atLeast("b", []float64{0.89996, 0.89996}, 0.9)
	if got, want := r.Targets[1].String(), "target b 0.899 0.9 short"; got != want || !r.short() {
		t.Errorf("got %q, short %v; want %q", got, r.short(), want)
	}
}

func TestATargetIsShortAboveWhatItMayCost(t *testing.T) {
	var r report
	r.atMost("a", []float64{5, 1, 9}, 5)
	if r.short() {
		t.Errorf("a median of exactly the goal: got short in %v, want ok", r.Targets)
	}
	r.atMost("b", []float64{5.0001}, 5)
	if got, want := r.Targets[1].String(), "target b 5.001 5 short"; got != want || !r.short() {
		t.Errorf("got %q, short %v; want %q", got, r.short(), want)
	}
}

func TestWhatCallersSawIsComparedWithWhatWasDone(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	lines := "begun in-time 5\ndone in-time 50000000\ndone late 2000000000\nbegun half 5\ndone anyway 7\ndone twice 8\ndone twice 9\n"
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	var asks []asking
	for id, err := range map[string]error{
		"in-time": nil, "late": nil, "twice": nil, "half": io.EOF, "anyway": io.EOF, "refused": io.EOF,
	} {
		asks = append(asks, asking{id: id, at: time.Unix(0, 0), waited: 3, err: err})
	}
	got, err := (&stylist{log: log}).judge(t.Context(), asks)
	want := storyFigures{
		DoneP50: 50 * time.Millisecond, DoneP99: 2 * time.Second, DoneMax: 2 * time.Second, WaitMax: 3,
		Failed: 3, Half: 1, Anyway: 1, Late: 1, Twice: 1,
	}
	if err != nil || got.Story != want {
		t.Errorf("judge = %+v, %v; want %+v", got.Story, err, want)
	}
}

func TestWhatIsAcceptedAndNeverDoneIsLost(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("begun a 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that it is not waited for
	got, err := (&stylist{log: log}).judge(ctx, []asking{{id: "a", at: time.Unix(0, 0)}})
	if err != nil || got.Story.Lost != 1 {
		t.Errorf("judge = %+v, %v; want one lost", got.Story, err)
	}
}

func TestTheReportAsDataHasTheSameTargets(t *testing.T) {
	var r report
	r.atLeast("publish-64", []float64{2, 4, 9}, 3)
	r.Sheets = []sheet{{Title: "styles", Columns: []string{"lost"}, Lines: []line{{"shop call", []float64{7}}}}}
	var out bytes.Buffer
	if err := r.writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Targets []struct{ Ratio, Low, High, Goal float64 }
		Sheets  []sheet
	}
	err := json.Unmarshal(out.Bytes(), &got, json.MatchCaseInsensitiveNames(true))
	if err != nil || len(got.Targets) != 1 || got.Targets[0] != struct{ Ratio, Low, High, Goal float64 }{4, 2, 9, 3} {
		t.Errorf("%s reads as %+v, %v; want the median 4 of 2 to 9, goal 3", &out, got, err)
	}
	if len(got.Sheets) != 1 || !slices.Equal(got.Sheets[0].Lines[0].Values, []float64{7}) {
		t.Errorf("%s reads with the tables %+v; want one with a 7", &out, got.Sheets)
	}
}

func TestTheMedianIsInTheMiddle(t *testing.T) {
	for want, values := range map[float64][]float64{0: nil, 2: {9, 2, 1}, 2.5: {1, 4, 3, 2}} {
		if got := median(values); got != want {
			t.Errorf("median(%v) = %v, want %v", values, got, want)
		}
	}
}
