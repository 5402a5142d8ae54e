package network

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

const token = "0123456789abcdef-token"

func TestAMemNetworkNeedsNoSocketsAndCollectsItsLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t, "mem://")
		wantTrail(t, n)
		if _, ok := HTTP(n); ok {
			t.Error("its calls are HTTP, want none that need sockets")
		}
	})
}

func TestProcessesOfOneFabricSeeEachOtherAndOneOfThemCollects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a := open(t, "mem://", WithProcess(fabric.Process("a")), WithSource("a"))
		b := open(t, "mem://", WithProcess(fabric.Process("b")), WithSource("b"))
		if got := a.Directory.Peers(collector.FollowAddress); len(got) != 0 {
			t.Errorf("collectors without Collect = %v, want none", got)
		}
		stop, err := Collect(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantTrail(t, b)
		wantEachOther(t, a, b)
		if err := stop(t.Context()); err != nil {
			t.Errorf("stop of the collector: %v", err)
		}
		synctest.Wait()
		if got := b.Directory.Peers(collector.FollowAddress); len(got) != 0 {
			t.Errorf("collectors after stop = %v, want none", got)
		}
	})
}

func TestTheCollectorLearnsWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a := open(t, "mem://", WithProcess(fabric.Process("a")))
		stop, err := Collect(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		defer stop(t.Context())
		process := fabric.Process("doomed")
		doomed := open(t, "mem://", WithProcess(process))
		announce(t, doomed, parley.Instance{Service: "stock", ID: "s1"})
		begun := make(chan struct{})
		doomed.Recorder.Record(ledger.Transition{
			Kind: ledger.Received, ID: "m1", Address: "stock.v1.take", Style: "command", Group: "stock.v1.take",
			Service: "stock", Instance: "s1", Attempt: 1, Attempts: 3,
		}, func() { close(begun) })
		<-begun
		process.Kill()
		time.Sleep(20 * time.Second)
		peer := a.Directory.Peers(collector.FollowAddress)[0]
		trail, err := collector.Follow(t.Context(), a.Calls, peer, "m1", 0)
		if err != nil {
			t.Fatal(err)
		}
		if gaps := strings.Join(trail.Gaps, "; "); !strings.Contains(gaps, "s1") {
			t.Errorf("gaps = %q after the instance s1 was killed, want it named", gaps)
		}
	})
}

func TestAnEmbeddedNetworkOpensCollectsAndGivesItsDirectoryFree(t *testing.T) {
	dir := t.TempDir()
	n := open(t, "embedded://"+dir)
	wantTrail(t, n)
	if got := n.Messages.Features().Survives; got != "power" {
		t.Errorf("confirmations survive %q, want power", got)
	}
	if second, err := Open(t.Context(), "embedded://"+dir); err == nil {
		t.Errorf("a second process opened %s", second.Name)
	} else if !strings.Contains(err.Error(), "parley dev") {
		t.Errorf("a second opening of the directory = %q, want an error that names parley dev", err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := open(t, "embedded://"+dir)
	if err := again.Close(t.Context()); err != nil {
		t.Errorf("closing the directory's second owner: %v", err)
	}
}

func TestOthersJoinASharedEmbeddedNetworkWithItsToken(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	var url string
	owner := open(t, "embedded://"+t.TempDir(), WithSharing("127.0.0.1:0", token, func(u string) { url = u }), WithSource("owner"))
	if strings.Contains(url, token) || !strings.HasPrefix(url, "nats://127.0.0.1:") {
		t.Fatalf("URL = %q, want one on loopback without the token", url)
	}
	whole := strings.Replace(url, "//", "//"+token+"@", 1) + "?survives=power"
	client := open(t, whole, WithSource("client"))
	if strings.Contains(client.Name, token) {
		t.Errorf("Name = %q, want no token in it", client.Name)
	}
	wantTrail(t, client)
	wantEachOther(t, owner, client)
	if err := client.Directory.Register(t.Context(), "shop.v1.order-placed", "mail"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, owner, "the group mail", func() bool {
		groups, ok := owner.Directory.Groups("shop.v1.order-placed")
		return ok && len(groups) == 1 && groups[0] == "mail"
	})

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if n, err := Open(ctx, strings.Replace(url, "//", "//wrong-"+token+"@", 1)); err == nil {
		_ = n.Close(t.Context())
		t.Error("a wrong token was accepted")
	} else if strings.Contains(err.Error(), token) {
		t.Errorf("opening with a wrong token = %q, want no token in it", err)
	}

	if n, err := Open(t.Context(), strings.TrimSuffix(whole, "?survives=power")); err == nil {
		_ = n.Close(t.Context())
		t.Error("a NATS server of which nobody says what its confirmations survive was accepted")
	} else if !errors.Is(err, ErrURL) || !strings.Contains(err.Error(), "sync_interval: always") || !strings.Contains(err.Error(), "survives=process") {
		t.Errorf("opening without survives = %q, want ErrURL with the setting and the parameter that help", err)
	}

	remove, err := WriteRuntime(Runtime{URL: url, Open: whole, Token: token, PID: os.Getpid(), Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	t.Setenv("PARLEY_NETWORK", "")
	var notes []string
	found := open(t, "", WithNotice(func(line string) { notes = append(notes, line) }))
	wantTrail(t, found)
	if len(notes) != 1 || !strings.Contains(notes[0], "parley dev") || strings.Contains(notes[0], token) {
		t.Errorf("notes = %q, want one line about parley dev, without its token", notes)
	}
	open(t, strings.TrimSuffix(whole, "?survives=power")) // what is said there holds beside it
	if found.Faults == nil {
		t.Error("the network of parley dev has no faults, want them possible")
	}
	if client.Faults != nil {
		t.Error("a network opened before there was a runtime file has faults")
	}
}

func TestTheEnvironmentNamesTheNetworkWhenNobodyElseDoes(t *testing.T) {
	t.Setenv("PARLEY_NETWORK", "mem://")
	synctest.Test(t, func(t *testing.T) {
		if n := open(t, ""); n.Name != "mem://" {
			t.Errorf("Open(%q) opened %s, want mem://", "", n.Name)
		}
	})
	t.Setenv("PARLEY_NETWORK", "ftp://h")
	if _, err := Open(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "PARLEY_NETWORK") {
		t.Errorf("Open with a bad PARLEY_NETWORK = %v, want an error that names it", err)
	}
}

func TestWhatCannotBeOpenedLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), "embedded://"+dir, WithListen("nowhere")); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("Open with a bad WithListen = %v, want an error that shows it", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, "nats://127.0.0.1:1"); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("Open without a server = %v, want an error that names it", err)
	}
	if _, err := Open(t.Context(), "mem://", WithSharing("127.0.0.1:0", token, nil), WithSource("Big")); err == nil ||
		!strings.Contains(err.Error(), "WithSharing") || !strings.Contains(err.Error(), "WithSource") {
		t.Errorf("Open with two options that do not fit = %v, want both named", err)
	}
	if err := open(t, "embedded://"+dir).Close(t.Context()); err != nil { // the directory is free
		t.Error(err)
	}
}

func TestAllThatIsWrongIsSaidTogether(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url     string
		options []Option
		want    []string
	}{
		{"amqp://ann:s3cret@h?x=1", []Option{WithSource("Big"), WithTLS(&tls.Config{})}, []string{`parameter "x"`, "WithSource", "WithTLS: the URL asks for no TLS"}},
		{"amqps://ann:s3cret@h?ca=none.pem", nil, []string{"ca: open none.pem"}},
		{"kafka://ann:s3cret@h?tls=on&ca=" + notPEM, nil, []string{notPEM + " holds no certificate"}},
		{"tls://s3cret@h?ca=" + notPEM, []Option{WithTLS(&tls.Config{})}, []string{"the URL has ca= too"}},
		{"embedded://", []Option{WithTLS(&tls.Config{})}, []string{"WithTLS"}},
	} {
		_, err := Open(t.Context(), c.url, c.options...)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Open(%q) = %v; want it to say %q, and no password", c.url, err, want)
			}
		}
	}
}

// open opens a network that is closed with the test.
func open(t *testing.T, url string, opts ...Option) *parley.Network {
	t.Helper()
	n, err := Open(t.Context(), url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = n.Close(ctx) // that of a killed process complains
	})
	return n
}

func announce(t *testing.T, n *parley.Network, i parley.Instance) {
	t.Helper()
	if _, err := n.Directory.Announce(t.Context(), i); err != nil {
		t.Fatal(err)
	}
}

// wantEachOther announces an instance on each network and waits until the other one knows it.
func wantEachOther(t *testing.T, a, b *parley.Network) {
	t.Helper()
	announce(t, a, parley.Instance{Service: "left", ID: "l1", Peer: "http://left", Answers: []string{"left.v1.get"}})
	announce(t, b, parley.Instance{Service: "right", ID: "r1", Peer: "http://right", Answers: []string{"right.v1.get"}})
	waitFor(t, a, "the other's instance", func() bool { return len(a.Directory.Peers("right.v1.get")) == 1 })
	waitFor(t, b, "the other's instance", func() bool { return len(b.Directory.Peers("left.v1.get")) == 1 })
}

// waitFor waits until ok, looking again at each change of who is there.
func waitFor(t *testing.T, n *parley.Network, what string, ok func() bool) {
	t.Helper()
	p := n.Directory.(*presence.Presence)
	limit := time.After(time.Minute)
	for {
		changed := p.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s does not see %s; it sees %v", n.Name, what, p.Instances())
		}
	}
}

// wantTrail records a message and asks the collector what became of it.
func wantTrail(t *testing.T, n *parley.Network) {
	t.Helper()
	waitFor(t, n, "a collector", func() bool { return len(n.Directory.Peers(collector.FollowAddress)) > 0 })
	e := &transport.Envelope{ID: "message-" + t.Name() + n.Name[:3], Address: "shop.v1.order-placed"}
	stored := make(chan struct{})
	transition := ledger.Of(ledger.Accepted, "event", e)
	transition.Expected = []string{}
	n.Recorder.Record(transition, func() { close(stored) })
	<-stored
	peer := n.Directory.Peers(collector.FollowAddress)[0]
	trail, err := collector.Follow(t.Context(), n.Calls, peer, e.ID, 10*time.Second)
	if err != nil {
		t.Fatalf("follow %s on %s: %v", e.ID, n.Name, err)
	}
	if len(trail.Hops) != 1 || !trail.Hops[0].Nobody {
		t.Errorf("trail on %s = %+v, want one hop that nobody subscribes to", n.Name, trail.Hops)
	}
}

func TestWhoOpensNothingInParticularIsToldWhatThatIs(t *testing.T) {
	t.Setenv("PARLEY_RUNTIME_DIR", filepath.Join(t.TempDir(), "none"))
	t.Setenv("PARLEY_NETWORK", "")
	t.Chdir(t.TempDir())
	var lines []string
	n, err := Open(t.Context(), "", WithNotice(func(line string) { lines = append(lines, line) }))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "no parley dev runs") || !strings.Contains(lines[0], "embedded://") {
		t.Errorf("notices = %q, want one that an embedded broker of its own is used", lines)
	}
}
