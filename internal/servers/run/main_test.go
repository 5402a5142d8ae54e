package main

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/internal/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ran is what a run of the program came to.
type ran struct {
	code     int
	out, err string
}

func program(t *testing.T, words ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	defer cancel()
	var out, err bytes.Buffer
	code := run(ctx, words, streams{strings.NewReader("typed"), &out, &err})
	return ran{code, out.String(), err.String()}
}

func TestExecRunsTheCommandWithServersAndPassesItsExitCode(t *testing.T) {
	t.Setenv("PARLEY_TEST_NATS", "") // as if the caller had none
	for name, test := range map[string]struct {
		script string
		want   int
	}{
		"a command that succeeds":  {`cat; echo " $PARLEY_TEST_NATS"`, 0},
		"a command that fails":     {`cat; echo " $PARLEY_TEST_NATS"; exit 7`, 7},
		"a command that is killed": {`cat; echo " $PARLEY_TEST_NATS"; kill -9 $$`, 137},
	} {
		t.Run(name, func(t *testing.T) {
			got := program(t, "exec", "-kinds", "nats", "--", "sh", "-c", test.script)
			if got.code != test.want {
				t.Errorf("exit code = %d; want %d; it said %s", got.code, test.want, got.err)
			}
			typed, named, _ := strings.Cut(strings.TrimSpace(got.out), " ")
			if typed != "typed" {
				t.Errorf("the command read %q; want what was typed", typed)
			}
			wantGone(t, named)
			_, logs, kept := strings.Cut(strings.TrimSpace(got.err), "kept in ")
			if kept != (test.want != 0) {
				t.Errorf("standard error = %q; want the place of the logs only where the command fails", got.err)
			}
			if !kept {
				return
			}
			if b, err := os.ReadFile(filepath.Join(logs, "nats.log")); err != nil || len(b) == 0 {
				t.Errorf("%s/nats.log = %d bytes, %v; want the server's log", logs, len(b), err)
			}
			os.RemoveAll(filepath.Dir(logs))
		})
	}
}

func TestExecStartsNothingThatAVariableNames(t *testing.T) {
	t.Setenv("PARLEY_TEST_NATS", "nats://elsewhere:4222")
	got := program(t, "exec", "-kinds", "nats", "--", "sh", "-c", `echo "$PARLEY_TEST_NATS"`)
	if got.code != 0 || got.out != "nats://elsewhere:4222\n" || strings.Contains(got.err, "serves") {
		t.Errorf("exec = %+v; want code 0, the variable as it was, and no server", got)
	}
}

func TestExecEndsItsServersWhereTheCommandCannotRun(t *testing.T) {
	t.Setenv("PARLEY_TEST_NATS", "")
	got := program(t, "exec", "-kinds", "nats", "--", "no-such-program")
	if got.code != 1 || !strings.Contains(got.err, "no-such-program") {
		t.Errorf("exec = %+v; want code 1 and the program's name", got)
	}
	if _, logs, kept := strings.Cut(strings.TrimSpace(got.err), "kept in "); kept {
		logs, _, _ = strings.Cut(logs, "\n")
		os.RemoveAll(filepath.Dir(logs))
	}
}

func TestStartLeavesServersRunningUntilStop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first := program(t, "-state", dir, "start", "nats")
	t.Cleanup(func() { program(t, "-state", dir, "stop") })
	named, ok := strings.CutPrefix(first.out, "export PARLEY_TEST_NATS=")
	if first.code != 0 || !ok || strings.Count(first.out, "\n") != 1 {
		t.Fatalf("start = %+v; want code 0 and one line that exports PARLEY_TEST_NATS", first)
	}
	if again := program(t, "-state", dir, "start", "nats"); again.code != 0 || again.out != first.out || again.err != "" {
		t.Errorf("start again = %+v; want the same line and nothing started", again)
	}
	named = strings.TrimSpace(named)
	if err := reach(t, named); err != nil {
		t.Errorf("the server that was left running: %v", err)
	}
	for range 2 {
		if got := program(t, "-state", dir, "stop"); got.code != 0 {
			t.Errorf("stop = %+v; want code 0, and 0 the second time", got)
		}
	}
	wantGone(t, named)
}

func TestStopLeavesAProcessAloneThatGotTheNumberOfADeadServer(t *testing.T) {
	state := state{dir: t.TempDir()}
	dir := t.TempDir()
	own := servers.Process{Name: "nats", PID: os.Getpid(), Began: "long ago"}
	if err := state.write(servers.Record{Kind: servers.NATS, URL: "nats://gone", Dir: dir, Processes: []servers.Process{own}}); err != nil {
		t.Fatal(err)
	}
	if got := program(t, "-state", state.dir, "stop"); got.code != 0 { // this process would have ended
		t.Errorf("stop = %+v; want code 0", got)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("Stat(%s) = %v; want that the dead server's directory is removed", dir, err)
	}
}

func TestWordsThatAreNotUnderstoodAreAnsweredWithTheUsage(t *testing.T) {
	for _, words := range [][]string{
		{}, {"dance"}, {"start", "pigeon"}, {"stop", "nats"}, {"exec"}, {"exec", "-kinds", "pigeon", "--", "true"}, {"exec", "-loud"}, {"-loud"},
	} {
		got := program(t, words...)
		if got.code != 2 || !strings.Contains(strings.ToLower(got.err), "usage") {
			t.Errorf("run %q = %+v; want code 2 and the usage", words, got)
		}
	}
}

func reach(t *testing.T, named string) error {
	t.Helper()
	u, err := url.Parse(named)
	if err != nil || u.Host == "" {
		t.Fatalf("%q is no URL of a server: %v", named, err)
	}
	c, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", u.Host)
	if err != nil {
		return err
	}
	return c.Close()
}

func wantGone(t *testing.T, named string) {
	t.Helper()
	if reach(t, named) == nil {
		t.Errorf("a server answers at %s still; want none", named)
	}
}
