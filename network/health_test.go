package network

import (
	"context"
	"io"
	"log/slog"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley"
)

// Probes and metrics are served beside the calls: ready while every service can take work, and not from the moment on
// when one is told to stop, although it still answers calls.
func TestProbesTellWhetherServicesTakeWork(t *testing.T) {
	metrics := nethttp.HandlerFunc(func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = io.WriteString(w, "up 1\n") })
	n := open(t, "embedded://"+t.TempDir(), WithMetrics(metrics))
	client, err := parley.NewClient("bakery", n, parley.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := parley.NewService(client, parley.Grace(time.Second), bake.Handle(1, func(_ context.Context, l loaf) (loaf, error) { return l, nil }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatalf("Run = %v before it was ready", err)
	}
	peer := n.Directory.Peers(bake.Address())[0]
	for _, page := range []struct {
		path   string
		status int
		text   string
	}{{"/livez", 200, "ok\n"}, {"/readyz", 200, "bakery ready\nok\n"}, {"/metrics", 200, "up 1\n"}} {
		if status, text := get(t, peer+page.path); status != page.status || text != page.text {
			t.Errorf("GET %s = %d %q; want %d %q", page.path, status, text, page.status, page.text)
		}
	}
	stop()
	if status, text := get(t, peer+"/readyz"); status != 503 || !strings.Contains(text, "bakery not ready: draining") {
		t.Errorf("GET /readyz of a service that was told to stop = %d %q; want 503, draining", status, text)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := n.Readiness(); len(got) != 0 {
		t.Errorf("Readiness after the end = %+v; want nobody", got)
	}
}

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	r, err := nethttp.NewRequestWithContext(t.Context(), nethttp.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	resp, err := nethttp.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
