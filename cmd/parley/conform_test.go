package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley/conform"
	"github.com/parley-io/parley/transport/transporttest"
)

func conforming(t *testing.T, output string, o conform.Options, file string) (out, errOut string, err error) {
	t.Helper()
	var data, people bytes.Buffer
	err = (&app{out: &data, err: &people, output: output}).conform(t.Context(), o, file)
	return data.String(), people.String(), err
}

func TestConformPrintsTheMatrixAndKeepsTheReport(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.html")
	out, people, err := conforming(t, outputTable, conform.Options{URL: "mem://", Checks: []int{1, 2, 44}}, file)
	if err != nil {
		t.Fatalf("conform = %v; want nil", err)
	}
	for _, want := range []string{"broker\n", "✔ passed     1  identity is stable", "· declared   2  confirmed is durable", "delivery\n", "3 of 4 checks passed, 1 declared, 0 failed, 0 not run\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("got the matrix\n%s\nwant it to have %q", out, want)
		}
	}
	if !strings.Contains(people, "2/4  declared  2 confirmed is durable") || !strings.Contains(people, "report: "+file) {
		t.Errorf("people are told\n%s\nwant a line for each check, and where the report is", people)
	}
	page, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(page, []byte("<!doctype html>")) || !bytes.HasSuffix(page, []byte("</html>\n")) {
		t.Errorf("got a report of %d bytes, %v; want a whole page", len(page), err)
	}
}

func TestConformPrintsJSON(t *testing.T) {
	t.Parallel()
	out, _, err := conforming(t, outputJSON, conform.Options{URL: "mem://", Checks: []int{1}}, "")
	if err != nil {
		t.Fatalf("conform = %v; want nil", err)
	}
	var r conform.Report
	if err := json.Unmarshal([]byte(out), &r, json.RejectUnknownMembers(true)); err != nil || r.Counts.Passed != 1 {
		t.Errorf("got %s, %v; want a report with one check that passed", out, err)
	}
}

func TestConformTellsWrongOptionsFromABrokerThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	for _, x := range []struct {
		o    conform.Options
		file string
		exit int
	}{
		{conform.Options{URL: "nothing://"}, file, exitUsage},
		{conform.Options{URL: "mem://", Checks: []int{999}}, file, exitUsage},
		{conform.Options{URL: "mem://"}, filepath.Join(dir, "no", "report.html"), exitUsage},
		{conform.Options{URL: "nats://127.0.0.1:1"}, file, exitUnreachable},
		{conform.Options{URL: "kafka://127.0.0.1:1"}, file, exitUnreachable},
	} {
		if _, _, err := conforming(t, outputTable, x.o, x.file); exitOf(err) != x.exit {
			t.Errorf("conform %s = %v, exit %d; want exit %d", x.o.URL, err, exitOf(err), x.exit)
		}
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("got %v left, %v; want no report of what did not begin", left, err)
	}
}

// broken is a report with a failure, something not run, and something left behind.
func broken() *conform.Report {
	return &conform.Report{
		Broker: "amqp://xxxxx@host", Prefix: "conform-1", Left: "queue x: locked", Counts: conform.Counts{Passed: 1, Failed: 1, NotRun: 1},
		Checks: []conform.Check{
			{Suite: conform.SuiteBroker, Number: 1, Name: "identity", Outcome: transporttest.Passed, Took: 1500},
			{Suite: conform.SuiteBroker, Number: 2, Name: "durable", Outcome: transporttest.NotRun, Detail: "cannot kill"},
			{Suite: conform.SuiteDelivery, Number: 17, Name: "poison", Outcome: transporttest.Failed, Detail: "got 2\nwant 1", Replay: "parley conform 'x' --checks 17"},
		},
	}
}

func TestABrokenPromiseIsExitOneWithTheCommandThatTriesItAgain(t *testing.T) {
	t.Parallel()
	a := &app{}
	err := a.conformed(t.Context(), broken())
	if exitOf(err) != exitFailed || !strings.Contains(err.Error(), "17 poison; try it again: parley conform 'x' --checks 17") {
		t.Errorf("conformed = %v, exit %d; want exit 1 and the command", err, exitOf(err))
	}
	r := broken()
	r.Counts.Failed, r.Checks = 0, r.Checks[:2]
	if err := a.conformed(t.Context(), r); exitOf(err) != exitFailed || !strings.Contains(err.Error(), "conform-1") {
		t.Errorf("conformed with something left = %v, exit %d; want exit 1 and the prefix", err, exitOf(err))
	}
	r.Left = ""
	if err := a.conformed(t.Context(), r); err != nil {
		t.Errorf("conformed with something not run = %v; want nil: it has shown nothing", err)
	}
	r.Stopped = "context deadline exceeded"
	if err := a.conformed(t.Context(), r); exitOf(err) != exitDeadline {
		t.Errorf("conformed after --timeout = %v, exit %d; want exit %d", err, exitOf(err), exitDeadline)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("Ctrl-C"))
	if err := a.conformed(ctx, r); exitOf(err) != exitInterrupted {
		t.Errorf("conformed after Ctrl-C = %v, exit %d; want exit %d", err, exitOf(err), exitInterrupted)
	}
}

func TestTheMatrixHasWhatThereIsToSayBelowEachCheck(t *testing.T) {
	t.Parallel()
	got := drawConformance(broken(), looksOf(func(string) string { return "" }, false))
	const want = `broker
✔ passed     1  identity      1.5s
· not run    2  durable         0s
               cannot kill
delivery
✖ failed    17  poison          0s
               got 2
               want 1
1 of 3 checks passed, 0 declared, 1 failed, 1 not run
`
	if got != want {
		t.Errorf("got the matrix\n%s\nwant\n%s", got, want)
	}
}

func TestTheProgressLineSaysWhereARunIs(t *testing.T) {
	t.Parallel()
	p := conform.Progress{Nth: 3, Of: 40, Check: conform.Check{Number: 26, Name: "order"}}
	if got, want := progressWords(p, 65*time.Second, 0), "3/40  26 order  1m5s"; got != want {
		t.Errorf("progressWords = %q; want %q", got, want)
	}
	if got, want := progressWords(p, 0, 2), "3/40  2 failed  26 order  0s"; got != want {
		t.Errorf("progressWords = %q; want %q", got, want)
	}
}

func TestTheURLIsTheArgumentOrThatOfTheFlagAndNotBoth(t *testing.T) {
	t.Parallel()
	if got, err := (&app{network: "mem://"}).conformURL(nil); got != "mem://" || err != nil {
		t.Errorf("conformURL = %q, %v; want that of --network", got, err)
	}
	if got, err := (&app{}).conformURL([]string{"nats://a"}); got != "nats://a" || err != nil {
		t.Errorf("conformURL = %q, %v; want the argument", got, err)
	}
	if _, err := (&app{network: "mem://"}).conformURL([]string{"nats://a"}); exitOf(err) != exitUsage {
		t.Errorf("conformURL of both = %v; want a usage error", err)
	}
	if _, err := checkNumbers([]string{"13", "x"}); exitOf(err) != exitUsage {
		t.Errorf("checkNumbers = %v; want a usage error", err)
	}
}
