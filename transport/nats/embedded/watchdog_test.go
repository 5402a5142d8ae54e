package embedded

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// started is a server of which the test hears what it says.
func started(t *testing.T, o Options) (s *Server, said <-chan string) {
	t.Helper()
	lines := make(chan string, 1000)
	o.Warn = func(line string) {
		select {
		case lines <- line:
		default:
		}
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	})
	return s, lines
}

// hear waits until the server says something with these words.
func hear(t *testing.T, said <-chan string, words string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line := <-said:
			if strings.Contains(line, words) {
				return
			}
		case <-late:
			t.Fatalf("the server did not say %q within a minute", words)
		}
	}
}

func TestAServerThatCannotWriteIsStartedAnew(t *testing.T) {
	t.Parallel()
	s, said := started(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: "a-token-of-some-length"})
	if why := s.ailment(); why != "" {
		t.Errorf("ailment of a new server = %q; want none", why)
	}
	before := s.URL()
	if err := s.running().DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	s.alarmed.Store(true)
	hear(t, said, "started anew as soon as it can")
	hear(t, said, "has been started anew")
	if why := s.ailment(); why != "" {
		t.Errorf("ailment after the restart = %q; want none", why)
	}
	if s.URL() != before {
		t.Errorf("URL after the restart = %s; want %s as before", s.URL(), before)
	}
	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatalf("InProcessConn = %v; want nil", err)
	}
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "INFO ") {
		t.Errorf("the new server said %q, %v; want INFO", line, err)
	}
}

func TestAServerWithoutRoomWaitsForRoomAndSaysSo(t *testing.T) {
	t.Parallel()
	s, said := started(t, Options{Dir: t.TempDir()})
	var free atomic.Int64
	look := s.look
	ctx, cancel := context.WithCancel(t.Context())
	s.stop() // the test is the watchdog
	s.watch.Wait()
	s.stop = cancel
	looked := make(chan struct{}, 1000)
	s.look = func(dir string) (room, error) {
		looked <- struct{}{}
		r, err := look(dir)
		r.free = free.Load()
		return r, err
	}
	done := make(chan struct{})
	s.watch.Go(func() {
		defer close(done)
		s.replace(ctx, "a test says so", 0)
	})
	<-looked
	<-looked // the first look has had its effect
	if got := s.Status().Trouble; !strings.Contains(got, "is full") {
		t.Errorf("Trouble without room = %q; want it to say that the disk is full", got)
	}
	if _, err := s.InProcessConn(); err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("InProcessConn = %v; want it to say that the disk is full", err)
	}
	free.Store(1 << 40)
	hear(t, said, "has been started anew")
	<-done
	if got := s.Status().Trouble; got != "" {
		t.Errorf("Trouble with room = %q; want none", got)
	}
}

func TestAServerThatCannotStartAnewIsClosedAllTheSame(t *testing.T) {
	t.Parallel()
	s, _ := started(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	s.stop()
	s.watch.Wait()
	s.stop = cancel
	s.look = func(string) (room, error) { return newRoom(0, 1<<30), nil }
	s.watch.Go(func() { s.replace(ctx, "a test says so", 0) })
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("Close = %v; want nil", err)
	}
	if _, err := s.InProcessConn(); !errors.Is(err, errClosed) {
		t.Errorf("InProcessConn = %v; want %v", err, errClosed)
	}
}

func TestWhatIsKeptIsBoundByTheOptionsAndByTheDisk(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, x := range []struct {
		name                         string
		free, size, used, most, want int64
	}{
		{"a large disk", 500 << 30, 1000 << 30, 3 * mib, 64 << 30, 64 << 30},
		{"a large disk that is nearly full", 300 * mib, 1000 << 30, 3 * mib, 64 << 30, (3 + 300 - 256) * mib},
		{"a full disk", 200 * mib, 1000 << 30, 3 * mib, 64 << 30, 3 * mib},
		{"a full disk and nothing kept", 0, 1000 << 30, 0, 64 << 30, 1},
		{"a small disk", 60 * mib, 64 * mib, 0, 64 << 30, 64 << 30},
		{"a small disk that is nearly full", 12 * mib, 64 * mib, 40 * mib, 64 << 30, (40 + 12 - 4) * mib},
		{"an option that is less than the disk has", 12 * mib, 64 * mib, 40 * mib, 41 * mib, 41 * mib},
	} {
		if got := newRoom(x.free, x.size).limit(x.used, x.most); got != x.want {
			t.Errorf("%s: limit = %d; want %d", x.name, got, x.want)
		}
	}
}

func TestStatusTellsWhatIsKeptAndTheLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := started(t, Options{Dir: dir, MaxBytes: 5 << 20})
	got := s.Status()
	if got.Limit != 5<<20 || got.Bytes != 0 || got.Messages != 0 || got.Trouble != "" || got.Free <= 0 {
		t.Errorf("Status of a new server = %+v; want a limit of %d, nothing kept, no trouble and what the disk has free", got, 5<<20)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".parley-probe-*")); err != nil || len(left) > 0 {
		t.Errorf("probes left: %v, %v; want none", left, err)
	}
	if err := s.probe(); err != nil {
		t.Errorf("probe = %v; want nil", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("in the directory after a probe: %v, %v; want the lock and the server's own directory", left, err)
	}
}

func TestThePauseBetweenTriesToStartGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	if got := longer(0); got != firstPause {
		t.Errorf("longer(0) = %v; want %v", got, firstPause)
	}
	if got := longer(lastPause); got != lastPause {
		t.Errorf("longer(%v) = %v; want the same", lastPause, got)
	}
}
