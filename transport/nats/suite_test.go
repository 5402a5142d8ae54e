package nats_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/parley-io/parley/internal/servers"
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

// play is a child process: "URL VERB …", "cluster URL VERB …", or "embedded DIR", which is a broker that says its URL.
func play(ctx context.Context, role []string) error {
	if role[0] == "embedded" {
		return serve(ctx, role[1])
	}
	connect := connectTo
	if role[0] == "cluster" {
		connect, role = connectToCluster, role[1:]
	}
	b, err := connect(ctx, role[0])
	if err != nil {
		return err
	}
	return transporttest.Work(ctx, b, role[1:], os.Stdout)
}

func connectTo(ctx context.Context, url string) (transport.Broker, error) {
	return nats.Open(ctx, nats.Options{URL: url, Survives: "power"})
}

func connectToCluster(ctx context.Context, url string) (transport.Broker, error) {
	return nats.Open(ctx, nats.Options{URL: url, Replicas: 3, Survives: "node"})
}

func TestNATSServerKeepsThePromisesOfABroker(t *testing.T) {
	s := startProcess(t, nil) // killed again and again
	target := transporttest.Target[transporttest.Site]{
		Name: "NATS",
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			return transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) { return connectTo(ctx, s.URL) },
				Through: func(ctx context.Context, via func(string) string) (transport.Broker, error) {
					u, err := url.Parse(s.URL)
					if err != nil {
						return nil, err
					}
					u.Host = via(u.Host)
					return connectTo(ctx, u.String())
				},
				Command: func(ctx context.Context, args ...string) *exec.Cmd {
					return transporttest.Child(ctx, append([]string{s.URL}, args...)...)
				},
				Kill: s.Restart,
				Wipe: func(ctx context.Context) error {
					return errors.Join(s.Kill(), os.RemoveAll(filepath.Join(filepath.Dir(s.Logs), "data")), s.Restart(ctx))
				},
				Down: func(context.Context) (func(context.Context) error, error) {
					if err := s.Kill(); err != nil {
						return nil, fmt.Errorf("kill: %w", err)
					}
					return s.Restart, nil
				},
			}, nil, nil
		},
	}
	o := transporttest.FromEnvironment(t)
	transporttest.Record(t, target, transporttest.Run(t, target, o))
}
