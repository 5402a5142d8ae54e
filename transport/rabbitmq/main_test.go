package rabbitmq_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/rabbitmq"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(play)
	goleak.VerifyTestMain(m)
}

// patience is for what must happen: a test that waits so long has failed.
const patience = 30 * time.Second

// play is a child process: "work URL FILE VERB …", with the password in a file.
func play(ctx context.Context, role []string) error {
	b, err := openWith(ctx, role[1], role[2])
	if err != nil {
		return err
	}
	return transporttest.Work(ctx, b, role[3:], os.Stdout)
}

// openWith shows the password that a file has at each connection.
func openWith(ctx context.Context, url, file string) (transport.Broker, error) {
	password := func() (string, error) {
		b, err := os.ReadFile(file)
		return string(b), err
	}
	return rabbitmq.Open(ctx, rabbitmq.Options{URL: url, Password: password})
}

// start starts a server of the test's own, which it may kill.
func start(t testing.TB) *servers.Server {
	t.Helper()
	s, err := servers.Start(t.Context(), servers.RabbitMQ, servers.Options{})
	if err != nil {
		t.Fatalf("starting RabbitMQ: %v", err)
	}
	t.Cleanup(func() {
		s.KeepLogs = t.Failed()
		if s.KeepLogs {
			t.Logf("the server's logs are in %s", s.Logs)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stopping RabbitMQ: %v", err)
		}
	})
	return s
}

func target(t *testing.T, s *servers.Server) transporttest.Target[transporttest.Site] {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := u.User.Password()
	file := filepath.Join(t.TempDir(), "password")
	learn := func(password string) error { return os.WriteFile(file, []byte(password), 0o600) }
	if err := learn(first); err != nil {
		t.Fatal(err)
	}
	u.User = url.User(u.User.Username())
	address := u.String()
	site := transporttest.Site{
		Open: func(ctx context.Context) (transport.Broker, error) { return openWith(ctx, address, file) },
		Through: func(ctx context.Context, via func(string) string) (transport.Broker, error) {
			there := *u
			there.Host = via(u.Host)
			return openWith(ctx, there.String(), file)
		},
		Command: func(ctx context.Context, args ...string) *exec.Cmd {
			return transporttest.Child(ctx, append([]string{"work", address, file}, args...)...)
		},
		Wipe: func(ctx context.Context) error { // the password, too
			return errors.Join(s.Kill(), os.RemoveAll(filepath.Join(filepath.Dir(s.Logs), "data")), learn(first), s.Restart(ctx))
		},
		Denied: func(ctx context.Context) (transport.Broker, error) {
			name, password := "nobody-"+strings.ToLower(rand.Text()), rand.Text()
			_, made := s.Rabbitmqctl(ctx, "add_user", name, password)
			_, allowed := s.Rabbitmqctl(ctx, "set_permissions", "-p", strings.TrimPrefix(u.Path, "/"), name, "^$", "^$", "^$")
			if err := errors.Join(made, allowed); err != nil {
				return nil, err
			}
			there := *u
			there.User = url.UserPassword(name, password)
			return rabbitmq.Open(ctx, rabbitmq.Options{URL: there.String()})
		},
		Rotate: func(ctx context.Context) (func() error, error) {
			next := rand.Text()
			_, changed := s.Rabbitmqctl(ctx, "change_password", u.User.Username(), next)
			_, ended := s.Rabbitmqctl(ctx, "close_all_user_connections", u.User.Username(), "another password")
			return func() error { return learn(next) }, errors.Join(changed, ended)
		},
		Down: func(context.Context) (func(context.Context) error, error) { return s.Restart, s.Kill() },
		Kill: func(ctx context.Context) error {
			if err := s.Kill(); err != nil {
				return fmt.Errorf("kill: %w", err)
			}
			return s.Restart(ctx)
		},
	}
	return transporttest.Target[transporttest.Site]{
		Name: "RabbitMQ",
		Declared: map[int]string{
			3: "it does not say of a confirmation that it was synced: Features.Survives is the process",
		},
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) { return site, nil, nil },
	}
}

func open(t testing.TB, url string) *rabbitmq.Broker {
	t.Helper()
	return openWithOptions(t, rabbitmq.Options{URL: url})
}

func openWithOptions(t testing.TB, o rabbitmq.Options) *rabbitmq.Broker {
	t.Helper()
	b, err := rabbitmq.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	})
	return b
}

// channel declares a channel of an address that nobody else uses.
func channel(t testing.TB, b *rabbitmq.Broker, p transport.Pattern, partitions int) transport.Channel {
	t.Helper()
	c := transport.Channel{Address: "test." + strings.ToLower(rand.Text()), Pattern: p, Partitions: partitions}
	if err := b.Declare(t.Context(), []transport.Channel{c}); err != nil {
		t.Fatalf("Declare = %v; want nil", err)
	}
	return c
}

func envelope(c transport.Channel, n int) *transport.Envelope {
	return &transport.Envelope{ID: fmt.Sprintf("id-%d", n), Source: "test", Address: c.Address, Key: fmt.Sprintf("k%d", n%50), Body: []byte(`{}`)}
}

// send sends messages from one number up to another.
func send(t testing.TB, b *rabbitmq.Broker, c transport.Channel, from, to int) {
	t.Helper()
	var batch []*transport.Envelope
	for n := from; n < to; n++ {
		batch = append(batch, envelope(c, n))
	}
	for limit := time.Now().Add(30 * time.Second); len(batch) > 0; { // a connection that was lost may not be back yet
		var again []*transport.Envelope
		for i, r := range b.Send(t.Context(), batch) {
			switch {
			case r.Err == nil:
			case errors.Is(r.Err, transport.ErrNotSent) && time.Now().Before(limit):
				again = append(again, batch[i])
			default:
				t.Fatalf("Send = %v; want nil", r.Err)
			}
		}
		if batch = again; len(batch) > 0 {
			time.Sleep(100 * time.Millisecond)
		}
	}
}
