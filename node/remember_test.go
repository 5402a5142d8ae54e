package node

import (
	"context"
	"testing"

	"github.com/parley-io/parley/network"
)

// A service that runs knows an address and a token. If the next node had others, the service would try in vain for ever.
func TestANodeThatIsStartedAgainIsTheOneThatServicesKnow(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	dir := t.TempDir() + "/data"
	first := begin(t, dir)
	n, err := network.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	first.stop()
	second := begin(t, dir)
	if first.URL != second.URL || first.Token != second.Token {
		t.Errorf("the second node is at %s, want %s with the same token", second.URL, first.URL)
	}
	if err := n.Directory.Register(t.Context(), "shop.v1.sold", "books"); err != nil {
		t.Errorf("a network that was opened before the restart can't write: %v", err)
	}
	second.stop()
	if elsewhere := begin(t, t.TempDir()+"/data"); elsewhere.Token == first.Token {
		t.Error("a node on another directory has the same token, want one of its own")
	}
}

// running is a node of a test.
type running struct {
	Info
	stop func() // twice is fine
}

func begin(t *testing.T, dir string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	info, ended := make(chan Info, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Dir: dir, HTTP: "127.0.0.1:0"}, func(i Info) { info <- i })
		close(ended)
	}()
	r := running{stop: func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}}
	t.Cleanup(r.stop)
	select {
	case r.Info = <-info:
	case err := <-ended:
		t.Fatal(err)
	}
	return r
}
