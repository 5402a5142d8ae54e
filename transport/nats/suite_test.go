package nats_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/internal/testdisk"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/transporttest"
)

// startProcess starts a nats-server of this test's own, with settings beside the usual ones.
func startProcess(t *testing.T, settings map[string]string) *servers.Server {
	t.Helper()
	s, err := servers.Start(t.Context(), servers.NATS, servers.Options{Settings: settings, Log: t.Output()})
	if err != nil {
		t.Fatalf("starting nats-server: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.KeepLogs = t.Failed()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("Stop = %v; want nil", err)
		}
	})
	return s
}

// play is a child process: "URL VERB …", "rotating URL FILE VERB …", "cluster URL VERB …", or "embedded DIR LISTEN", which
// is a broker that says its URL.
func play(ctx context.Context, role []string) error {
	var b transport.Broker
	var err error
	switch role[0] {
	case "embedded":
		return serve(ctx, role[1], role[2])
	case "rotating":
		b, err = connectWith(ctx, role[1], role[2])
		role = role[3:]
	case "cluster":
		b, err = connectToCluster(ctx, role[1])
		role = role[2:]
	default:
		b, err = connectTo(ctx, role[0])
		role = role[1:]
	}
	if err != nil {
		return err
	}
	return transporttest.Work(ctx, b, role, os.Stdout)
}

func connectTo(ctx context.Context, url string) (transport.Broker, error) {
	return nats.Open(ctx, nats.Options{URL: url, Survives: "power"})
}

// connectWith shows the password that a file has at each connection.
func connectWith(ctx context.Context, url, file string) (transport.Broker, error) {
	password := func() (string, error) {
		b, err := os.ReadFile(file)
		return string(b), err
	}
	return nats.Open(ctx, nats.Options{URL: url, Password: password, Survives: "power"})
}

func connectToCluster(ctx context.Context, url string) (transport.Broker, error) {
	return nats.Open(ctx, nats.Options{URL: url, Replicas: 3, Survives: "node"})
}

// authorization lets in a user "parley" with that password, and "nobody" with the same one, who may connect and ask what
// the server is.
func authorization(password string) map[string]string {
	return map[string]string{"authorization": fmt.Sprintf(`{users: [{user: parley, password: %q}, {user: nobody, password: %q, permissions: {
  publish: {allow: ["$JS.API.INFO"]}, subscribe: {allow: ["_INBOX.>", "$JS.EVENT.ADVISORY.>"]}}}]}`, password, password)}
}

func TestNATSServerKeepsThePromisesOfABroker(t *testing.T) {
	settings, file := authorization("first"), filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	disk, data := testdisk.New(t), filepath.Join(t.TempDir(), "data")
	if disk != nil {
		data = filepath.Join(disk.Dir, "data")
	}
	settings["jetstream"] = fmt.Sprintf("{store_dir: %q, sync_interval: always}", data)
	s := startProcess(t, settings) // killed again and again
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	address := "nats://parley@" + u.Host
	site := transporttest.Site{
		Open: func(ctx context.Context) (transport.Broker, error) { return connectWith(ctx, address, file) },
		Through: func(ctx context.Context, via func(string) string) (transport.Broker, error) {
			return connectWith(ctx, "nats://parley@"+via(u.Host), file)
		},
		Command: func(ctx context.Context, args ...string) *exec.Cmd {
			return transporttest.Child(ctx, append([]string{"rotating", address, file}, args...)...)
		},
		Kill: s.Restart,
		Wipe: func(ctx context.Context) error { return errors.Join(s.Kill(), os.RemoveAll(data), s.Restart(ctx)) },
		Down: func(context.Context) (func(context.Context) error, error) {
			if err := s.Kill(); err != nil {
				return nil, fmt.Errorf("kill: %w", err)
			}
			return s.Restart, nil
		},
		Denied: func(ctx context.Context) (transport.Broker, error) {
			return connectWith(ctx, "nats://nobody@"+u.Host, file)
		},
		Rotate: func(ctx context.Context) (learn func() error, err error) {
			next := rand.Text()
			return func() error { return os.WriteFile(file, []byte(next), 0o600) }, s.Reload(ctx, authorization(next))
		},
	}
	if disk != nil {
		site.PowerLoss = func(ctx context.Context) error { return s.LosePower(ctx, disk) }
	}
	target := transporttest.Target[transporttest.Site]{
		Name: "NATS", Long: disk != nil,
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) { return site, nil, nil },
	}
	o := transporttest.FromEnvironment(t)
	transporttest.Record(t, target, transporttest.Run(t, target, o))
}
