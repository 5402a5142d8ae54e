package node

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOthersFindARunningNodeAndNoneThatHasStopped(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(t.TempDir(), "run"))
	t.Setenv("PARLEY_NETWORK", "")
	info, stop := start(t, Options{Dir: t.TempDir(), HTTP: "127.0.0.1:0"})

	n, err := network.Open(t.Context(), "") // without configuration
	if err != nil {
		t.Fatalf("open the network of a running node: %v", err)
	}
	client, err := parley.NewClient("tester", n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Follow(t.Context(), "nothing"); parley.CodeOf(err) != parley.NotFound {
		t.Errorf("Follow = %v, want the collector's not-found", err)
	}
	if _, err := network.Faults(n); err != nil {
		t.Errorf("Faults = %v, want a network on which things may fail on purpose", err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	for path, want := range map[string]string{"/": info.HTTP + "/v1/messages/ID", "/livez": "ok", "/readyz": "ok", "/v1/stats": `"caught_up":true`, "/v1/broker": `"limit":`} {
		if got := get(t, info.HTTP+path); !strings.Contains(got, want) {
			t.Errorf("GET %s = %q, want it to say %q", path, got, want)
		}
	}

	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run = %v after its context was done, want nil", err)
	}
	if took := time.Since(began); took > stopLimit {
		t.Errorf("the end took %v, want at most %v", took, stopLimit)
	}
	if r, ok, err := network.ReadRuntime(); ok || err != nil {
		t.Errorf("ReadRuntime = %+v, %v, %v after the end; want nothing", r, ok, err)
	}
}

func TestASecondNodeIsRefusedWithTheReason(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(t.TempDir(), "run"))
	dir := t.TempDir()
	info, stop := start(t, Options{Dir: dir, HTTP: "127.0.0.1:0"})
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	other := filepath.Join(t.TempDir(), "other")
	err := Run(t.Context(), Options{Dir: other}, nil)
	if !errors.Is(err, network.ErrRunning) || !strings.Contains(err.Error(), info.URL) {
		t.Errorf("a second node = %v, want ErrRunning and %s", err, info.URL)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a refused node has made its directory, want nothing left behind")
	}
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(t.TempDir(), "run"))
	if err := Run(t.Context(), Options{Dir: dir, HTTP: "127.0.0.1:0"}, nil); err == nil || !strings.Contains(err.Error(), "owns it") {
		t.Errorf("a second node on the same directory = %v, want an error that says who owns it", err)
	}
	address := strings.TrimPrefix(info.HTTP, "http://")
	err = Run(t.Context(), Options{Dir: t.TempDir(), HTTP: address}, nil)
	if err == nil || !strings.Contains(err.Error(), address+": another process has this port") {
		t.Errorf("a second node on the same port = %v, want an error that says that it is taken", err)
	}
	err = Run(t.Context(), Options{Dir: t.TempDir(), HTTP: "127.0.0.1:0", Broker: strings.TrimPrefix(info.URL, "nats://")}, nil)
	if err == nil || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("a second node with the same broker port = %v, want an error that says that it is taken", err)
	}
}

func TestABusyUsualPortIsNotInTheWay(t *testing.T) {
	busy, err := net.Listen("tcp", DefaultHTTP)
	if err == nil { // else another process keeps it busy
		defer busy.Close()
	}
	l, notice, err := listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Addr().String() == DefaultHTTP || !strings.Contains(notice, "port 7070 is busy; HTTP is on port ") {
		t.Errorf("listen on %v, %q while 7070 is busy; want another port and a notice", l.Addr(), notice)
	}
}

func TestOptionsThatOthersCouldReachAreRefusedTogether(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), Options{HTTP: "0.0.0.0:7070", Broker: "127.0.0.1:many"}, nil)
	for _, want := range []string{`"0.0.0.0:7070": host "0.0.0.0": want a loopback address`, `"127.0.0.1:many": port "many"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run = %v, want it to say %s", err, want)
		}
	}
}

// start runs a node until stop is called, which gives what Run returned.
func start(t *testing.T, o Options) (info Info, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan Info, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, o, func(i Info) { ready <- i }) }() // waited for by stop
	select {
	case info = <-ready:
	case err := <-ended:
		cancel()
		t.Fatalf("the node did not start: %v", err)
	}
	return info, func() error { cancel(); return <-ended }
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := nethttp.NewRequestWithContext(t.Context(), nethttp.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &nethttp.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := (&nethttp.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
