package http_test

import (
	"context"
	"net"
	nethttp "net/http"
	"testing"

	"github.com/parley-io/parley/transport/http"
)

func TestAListenerThatIsGivenKeepsItsPortUntilClose(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{true, false} {
		l := listening(t, "127.0.0.1:0")
		c := open(t, http.Options{Listener: l})
		if answers {
			peer, stop := answer(t, c)
			if want := "http://" + l.Addr().String(); peer != want {
				t.Errorf("ready got %s; want %s", peer, want)
			}
			r, err := nethttp.NewRequestWithContext(t.Context(), nethttp.MethodGet, peer+"/nothing", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Close = true
			if a, err := nethttp.DefaultClient.Do(r); err != nil {
				t.Errorf("GET = %v; want an answer", err)
			} else {
				_ = a.Body.Close()
			}
			if err := stop(); err != nil {
				t.Errorf("Answer = %v; want nil", err)
			}
		}
		for range 2 {
			if err := c.Close(context.Background()); err != nil {
				t.Errorf("Close = %v; want nil", err)
			}
		}
		if _, err := l.Accept(); err == nil {
			t.Errorf("after Close it still listens, where it answered = %v; want it closed", answers)
		}
	}
}

func TestAListenerOnEveryInterfaceNeedsAnAddressForOthers(t *testing.T) {
	t.Parallel()
	if _, err := http.New(http.Options{Listener: listening(t, ":0")}); err == nil {
		t.Error("New = nil; want an error that asks for Advertise")
	}
}

func listening(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it may be closed
	return l
}
