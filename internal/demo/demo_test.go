package demo

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// memoryLimit is for all processes together.
const memoryLimit = 300 // MiB

// One of the few tests with real time: processes can't have another one. Not parallel: it says how soon the first message is
// handled, which the other demos would make later.
func TestTheWholeStoryIsToldAndNothingIsLost(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), binary, "demo", "--headless", "--duration", "20s", "--seed", "1", "-o", "json")
	var out, story bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &story
	if err := cmd.Run(); err != nil {
		t.Fatalf("parley demo: %v; its story:\n%s", err, &story)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, &out)
	}
	if m := regexp.MustCompile(`meanwhile (\d+) loans were asked for`).FindStringSubmatch(story.String()); m != nil {
		r.queued, _ = strconv.Atoi(m[1]) // digits
	}
	if broken := r.Broken(); len(broken) > 0 {
		t.Errorf("%q: exit code 0, want 1; its story:\n%s", broken, &story)
	}
	if r.FirstMessageMS <= 0 || r.FirstMessageMS > 5000 {
		t.Errorf("the first message was handled after %d ms, want less than 5000", r.FirstMessageMS)
	}
	if !strings.Contains(story.String(), "loans is decided") {
		t.Errorf("the story does not tell how the owner's absence ended; it is:\n%s", &story)
	}
	rest := story.String()
	for _, step := range []string{
		"first order", "parley follow order-", "first loan", "parley follow loan-", "fails on purpose", "OPEN", "dead letter", "works again", "closed", "redriven messages handled",
		"analytics joins late", "customers stop ordering", "lost: 0",
	} {
		_, after, ok := strings.Cut(rest, step)
		if !ok {
			t.Errorf("the story does not tell %q after the steps before; it is:\n%s", step, &story)
			break
		}
		rest = after
	}
	if m := regexp.MustCompile(`memory: (\d+) MiB`).FindStringSubmatch(story.String()); m != nil {
		if mib, err := strconv.Atoi(m[1]); err != nil || mib >= memoryLimit {
			t.Errorf("the processes need %s MiB, want less than %d", m[1], memoryLimit)
		}
	}
}

func TestCtrlCEndsTheDemoInOrder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	cmd, story := begin(t, dir)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var rest strings.Builder
	for story.Scan() {
		fmt.Fprintln(&rest, story.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("parley demo: %v, want exit code 0; it told:\n%s", err, &rest)
	}
	if !strings.Contains(rest.String(), "lost: 0") {
		t.Errorf("told after Ctrl-C:\n%s\nwant what was counted, with lost: 0", &rest)
	}
	if o, err := ReadOutside(filepath.Join(dir, "outside")); err != nil || len(o.Confirmed) == 0 || len(o.Lost()) > 0 {
		t.Errorf("outside logs = %+v, %v; want them kept, and everything handled", o, err)
	}
}

// begin starts a demo that has no end of its own and waits for its first order.
func begin(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "demo", "--data", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	story := bufio.NewScanner(out)
	for story.Scan() {
		if strings.Contains(story.Text(), "first order") {
			return cmd, story
		}
	}
	t.Fatalf("parley demo ended before the first order: %v, %v", story.Err(), cmd.Wait())
	return nil, nil
}

func TestATooShortStoryIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := Run(t.Context(), Options{Duration: MinDuration - time.Second}); err == nil || !strings.Contains(err.Error(), MinDuration.String()) {
		t.Errorf("Run = %v; want an error that names the shortest duration", err)
	}
}
