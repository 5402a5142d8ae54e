package demo

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestAKilledProcessIsStartedAgainAndNoneIsLeftAtTheEnd(t *testing.T) {
	t.Parallel()
	var story bytes.Buffer
	c, _ := newTestCast(t, &story)
	audience, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer audience.Close()
	if err := c.start("lead", "play", "calm", audience.Addr().String()); err != nil {
		t.Fatal(err)
	}
	first := accept(t, audience)
	if err := c.Kill("lead"); err != nil {
		t.Fatal(err)
	}
	gone(t, first)
	second := accept(t, audience)
	if names := c.Names(); len(names) != 1 || names[0] != "lead" {
		t.Errorf("Names = %v, want only lead", names)
	}
	if err := c.close(); err != nil {
		t.Errorf("close = %v, want an orderly end", err)
	}
	gone(t, second)
	if want := "lead ended (signal: killed); started again"; !strings.Contains(story.String(), want) {
		t.Errorf("told %q, want %q", story.String(), want)
	}
	if left := c.pids(); len(left) != 1 {
		t.Errorf("processes %v after close, want only this one", left)
	}
	if err := c.Kill("lead"); err == nil {
		t.Error("Kill after close = nil, want an error")
	}
}

func TestAProcessThatCannotBeKeptRunningEndsTheDemoWithItsLog(t *testing.T) {
	t.Parallel()
	c, failed := newTestCast(t, io.Discard)
	if err := c.start("extra", "play", "hopeless", ""); err != nil {
		t.Fatal(err)
	}
	<-failed.Done()
	err := context.Cause(failed)
	for _, want := range []string{"extra ended 10 times", "exit status 3", "no such luck"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("failed with %q; want it to say %q", err, want)
		}
	}
	if err := c.close(); err != nil {
		t.Errorf("close = %v, want nil: how it failed was told", err)
	}
}

// newTestCast makes a cast whose processes are this program, and the context that ends when one cannot be kept running.
func newTestCast(t *testing.T, story io.Writer) (*Cast, context.Context) {
	t.Helper()
	failed, fail := context.WithCancelCause(t.Context())
	t.Cleanup(func() { fail(nil) })
	c, err := newCast(os.Args[0], t.TempDir(), t.TempDir(), &teller{began: time.Now(), out: story}, fail)
	if err != nil {
		t.Fatal(err)
	}
	return c, failed
}

// accept waits until a process has connected.
func accept(t *testing.T, audience net.Listener) net.Conn {
	t.Helper()
	conn, err := audience.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// gone waits until the process at the other end has ended.
func gone(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}
