package network

import (
	"context"
	"net/url"
	"testing"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport/nats/embedded"
)

func TestWhoIsThereStaysThereWhenTheBrokerRestarts(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	options := embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Token: token}
	server, err := embedded.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the networks, which are opened later
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	where, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.Listen = where.Host
	where.User, where.RawQuery = url.User(token), "survives=power"
	a, b := open(t, where.String()), open(t, where.String())
	wantEachOther(t, a, b)
	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server, err = embedded.Start(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	announce(t, a, parley.Instance{Service: "later", ID: "i1", Peer: "http://later", Answers: []string{"later.v1.get"}})
	waitFor(t, b, "what was announced after the restart", func() bool { return len(b.Directory.Peers("later.v1.get")) == 1 })
	if len(b.Directory.Peers("left.v1.get")) != 1 || len(a.Directory.Peers("right.v1.get")) != 1 {
		t.Errorf("after the restart a sees %v and b sees %v, want everybody", a.Directory.Instances(), b.Directory.Instances())
	}
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	waitFor(t, b, "the goodbyes", func() bool { return len(b.Directory.Peers("left.v1.get"))+len(b.Directory.Peers("later.v1.get")) == 0 })
}
