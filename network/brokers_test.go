package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/transport"
)

// The contracts of a service that runs on each broker.
var (
	bistro       = parley.NewAPI("bistro", 1)
	bistroCook   = parley.NewCall[plate, plate](bistro, "cook")
	bistroServe  = parley.NewCommand[plate](bistro, "serve")
	bistroServed = parley.NewEvent[plate](bistro, "served")
	bistroCater  = parley.NewOperation[plate, plate](bistro, "cater")
)

type plate struct {
	Name string `json:"name"`
}

// onBroker is how a network is opened on a server of the tests.
var onBroker = map[servers.Kind]string{
	servers.RabbitMQ: "?survives=process",
	servers.Kafka:    "?survives=process",
	servers.NATS:     "?survives=power", // they sync always
}

func TestTheSameStoryOnRabbitMQ(t *testing.T) { story(t, servers.RabbitMQ) }
func TestTheSameStoryOnKafka(t *testing.T)    { story(t, servers.Kafka) }
func TestTheSameStoryOnNATS(t *testing.T)     { story(t, servers.NATS) }

// story is told by processes of one network: two instances of a service, a subscriber, a collector and a client. The
// broker is killed in the middle of it.
func story(t *testing.T, kind servers.Kind) {
	t.Setenv("PARLEY_RUNTIME_DIR", t.TempDir()+"/run")
	server := startServer(t, kind, nil)
	wantRefusals(t, kind, server.URL)
	wantFile(t, kind, server.URL)
	url := server.URL + onBroker[kind] + "&prefix=story&journal=" + t.TempDir()

	began := time.Now()
	office := open(t, url, WithSource("office"), WithCollector(func(err error) { t.Errorf("the collector has ended: %v", err) }))
	t.Logf("the first network is open after %v", time.Since(began))
	client := clientOf(t, office, "office")
	began = time.Now()
	handled := newTally()
	var up sync.WaitGroup
	for range 2 {
		up.Go(func() { serveBistro(t, open(t, url, WithSource("bistro")), handled) })
	}
	up.Go(func() { subscribe(t, open(t, url, WithSource("guests")), "guests", handled) })
	up.Wait()
	t.Logf("three services are up after %v", time.Since(began))
	began = time.Now()
	if err := open(t, url, WithSource("visitor")).Close(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("a visitor came and went in %v", time.Since(began))

	waitFor(t, office, "two instances of bistro", func() bool { return len(office.Directory.Peers(bistroCook.Address())) == 2 })
	waitFor(t, office, "both groups", func() bool {
		groups, ok := office.Directory.Groups(bistroServed.Address())
		return ok && fmt.Sprint(groups) == "[guests kitchen]"
	})
	if err := serve(t, office, client, "soup", time.Minute); err != nil {
		t.Error(err)
	}
	x, err := bistroCater.Start(t.Context(), client, plate{"feast"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := x.Wait(t.Context(), client); err != nil || got.Name != "feast, catered" {
		t.Errorf("cater = %+v, %v; want a feast", got, err)
	}

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { // waited for below
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		_, err := bistroServe.Send(ctx, client, plate{"stew"})
		sent <- err
	}()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	if err := <-sent; err != nil {
		t.Fatalf("what was sent while the broker was away: %v", err)
	}
	t.Logf("what was sent while the broker was away was accepted %v after its return", time.Since(back))
	handled.wait(t, "served stew", "kitchen stew", "guests stew")
	t.Logf("and handled %v after it", time.Since(back))
	// The ledger is written again a moment later: until then trails have gaps.
	for n := 1; ; n++ {
		name := fmt.Sprintf("cake %d", n)
		err := serve(t, office, client, name, 10*time.Second)
		if err == nil {
			handled.wait(t, "served "+name, "kitchen "+name, "guests "+name)
			break
		}
		if time.Since(back) > time.Minute {
			t.Fatalf("a minute after the broker's return: %v; handled: %v; there: %v", err, handled.all, office.Directory.(*presence.Presence).Instances())
		}
	}
	t.Logf("all is as it was %v after the broker's return", time.Since(back))
	waitFor(t, office, "two instances of bistro after the broker's return", func() bool { return len(office.Directory.Peers(bistroCook.Address())) == 2 })
	served := transport.Channel{Address: bistroServed.Address(), Pattern: transport.Topic}
	// What was handled is settled a moment later, or again where that was lost with the broker.
	for began := time.Now(); ; <-time.After(100 * time.Millisecond) {
		waiting, _, err := office.Operator.Backlog(t.Context(), served, "guests")
		if waiting == 0 && err == nil {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the backlog of guests is %d, %v a minute after all was handled; want 0", waiting, err)
		}
	}
	t.Logf("nothing waits %v after the broker's return", time.Since(back))
	p := office.Directory.(*presence.Presence)
	if err := p.Remove(t.Context(), bistroServed.Address(), "guests"); err != nil {
		t.Error(err)
	}
}

// wantRefusals opens a server in ways that it has to refuse.
func wantRefusals(t *testing.T, kind servers.Kind, server string) {
	t.Helper()
	_, err := Open(t.Context(), server)
	if !errors.Is(err, ErrURL) || !strings.Contains(err.Error(), "survives=process") {
		t.Errorf("%s without survives = %v, want ErrURL and the parameter that helps", kind, err)
	}
	scheme, rest, _ := strings.Cut(server, "://")
	_, host, ok := strings.Cut(rest, "@")
	if !ok {
		return // it knows no users
	}
	_, err = Open(t.Context(), scheme+"://somebody:s3cret%2Fword@"+host+onBroker[kind])
	if code := transport.CodeOf(err); code != transport.Unauthenticated && code != transport.PermissionDenied {
		t.Errorf("%s with a wrong password = %v (%s), want unauthenticated", kind, err, code)
	}
	if err != nil && strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%s with a wrong password = %v, want no password in it", kind, err)
	}
}

func startServer(t *testing.T, kind servers.Kind, settings map[string]string) *servers.Server {
	t.Helper()
	server, err := servers.Start(t.Context(), kind, servers.Options{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.KeepLogs = t.Failed()
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the server's logs are in %s", server.Logs)
		}
	})
	return server
}

func clientOf(t *testing.T, n *parley.Network, name string) *parley.Client {
	t.Helper()
	client, err := parley.NewClient(name, n, parley.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// serveBistro runs an instance of the service until the test ends, and returns when it is ready.
func serveBistro(t *testing.T, n *parley.Network, handled *tally) {
	client := clientOf(t, n, "bistro")
	run(t, client,
		bistroCook.Handle(func(_ context.Context, p plate) (plate, error) { return p, nil }),
		bistroServe.Handle(func(ctx context.Context, p plate) error {
			handled.add("served " + p.Name)
			_, err := bistroServed.Publish(ctx, client, p)
			return err
		}),
		bistroServed.Subscribe("kitchen", func(_ context.Context, p plate) error { handled.add("kitchen " + p.Name); return nil }),
	)
}

func subscribe(t *testing.T, n *parley.Network, group string, handled *tally) {
	run(t, clientOf(t, n, "guests"),
		bistroServed.Subscribe(group, func(_ context.Context, p plate) error { handled.add(group + " " + p.Name); return nil }),
		bistroCater.Handle(1, func(ctx context.Context, p plate) (plate, error) {
			return parley.Step(ctx, "carry", func(context.Context) (plate, error) { return plate{p.Name + ", catered"}, nil })
		}),
	)
}

// run runs a service until the test ends, and returns when it is ready.
func run(t *testing.T, client *parley.Client, parts ...parley.Registration) {
	t.Helper()
	s, err := parley.NewService(client, append(parts, parley.Grace(0))...)
	if err != nil {
		t.Error(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }() // waited for by the cleanup
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		done <- err
		t.Errorf("Run = %v before it was ready", err)
	case <-time.After(time.Minute):
		t.Error("a service is not ready after a minute")
	}
}

// serve has a plate cooked and served, and follows it until everybody has handled it.
func serve(t *testing.T, n *parley.Network, client *parley.Client, name string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	began := time.Now()
	if got, err := bistroCook.Call(ctx, client, plate{name}); err != nil || got.Name != name {
		return fmt.Errorf("cook %s = %+v, %w", name, got, err)
	}
	id, err := bistroServe.Send(ctx, client, plate{name})
	if err != nil {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	var trail ledger.Trail
	// Settled alone would not do: for a minute after an outage, gaps of it may concern any trail.
	for len(trail.Hops) != 2 || !trail.Hops[0].Settled() || !trail.Hops[1].Settled() || len(trail.Hops[1].Receivers) != 2 {
		peers := n.Directory.Peers(collector.FollowAddress)
		if len(peers) == 0 {
			return errors.New("nobody collects")
		}
		if trail, err = collector.Follow(ctx, n.Calls, peers[0], string(id), 200*time.Millisecond); err != nil {
			return fmt.Errorf("follow %s: %w; at last: %+v", name, err, trail)
		}
	}
	for _, h := range trail.Hops {
		for _, r := range h.Receivers {
			if r.State != ledger.Handled {
				return fmt.Errorf("%s at %s is %s, want done", h.Address, r.Group, r.State)
			}
		}
	}
	t.Logf("%s was cooked, served and followed after %v", name, time.Since(began))
	return nil
}

// tally is what was handled.
type tally struct {
	mu   sync.Mutex
	all  map[string]int
	news chan struct{} // closed at the next change
}

func newTally() *tally { return &tally{all: make(map[string]int), news: make(chan struct{})} }

func (l *tally) add(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[what]++
	close(l.news)
	l.news = make(chan struct{})
}

// wait waits until all of it was handled.
func (l *tally) wait(t *testing.T, all ...string) {
	t.Helper()
	limit := time.After(time.Minute)
	for _, what := range all {
		for {
			l.mu.Lock()
			n, news := l.all[what], l.news
			l.mu.Unlock()
			if n > 0 {
				break
			}
			select {
			case <-news:
			case <-limit:
				t.Fatalf("%s is missing after a minute; handled: %v", what, l.all)
			}
		}
	}
}
