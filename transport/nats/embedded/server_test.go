package embedded_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport/nats/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token-of-some-length"

func start(t *testing.T, o embedded.Options) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("Start = %v; want nil", err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close = %v; want nil", err)
	}
}

func refused(t *testing.T, o embedded.Options, want ...string) {
	t.Helper()
	s, err := embedded.Start(t.Context(), o)
	if err == nil {
		stop(t, s)
		t.Errorf("Start(%+v) = nil; want an error", o)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Start(%+v) = %q; want it to say %q", o, err, w)
		}
	}
}

func TestADirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, embedded.Options{Dir: dir})
	refused(t, embedded.Options{Dir: dir}, dir, "pid "+strconv.Itoa(os.Getpid()), "parley dev")
	stop(t, s)
	start(t, embedded.Options{Dir: dir})
}

func TestAPortHasOneOwner(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: token})
	address := strings.TrimPrefix(s.URL(), "nats://")
	if c, err := net.Dial("tcp", address); err != nil {
		t.Errorf("connecting to %s: %v; want nil", s.URL(), err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
	refused(t, embedded.Options{Dir: t.TempDir(), Listen: address, Token: token}, address, "in use", "another port")
}

func TestWrongOptionsAreToldTogether(t *testing.T) {
	t.Parallel()
	refused(t, embedded.Options{Listen: "0.0.0.0:0", Token: "short", MaxBytes: -1}, "no directory", "loopback", "token", "MaxBytes")
	refused(t, embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"}, "Token")
	refused(t, embedded.Options{Dir: t.TempDir(), Listen: "nonsense", Token: token}, "host:port")
}

func TestADirectoryThatCannotBeWrittenIsToldAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, embedded.Options{Dir: filepath.Join(file, "data")}, file, "another directory")
	refused(t, embedded.Options{Dir: "/proc/parley-data"}, "/proc/parley-data", "another directory")
}

func TestWithoutListenThereIsNoSocket(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Options{Dir: t.TempDir()})
	if s.URL() != "" {
		t.Errorf("URL = %q; want none", s.URL())
	}
	c, err := s.InProcessConn()
	if err != nil {
		t.Fatalf("InProcessConn = %v; want nil", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	stop(t, s)
	if _, err := s.InProcessConn(); err == nil {
		t.Error("InProcessConn of a closed server = nil; want an error")
	}
}
