package nats_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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

// play is a child process: "URL VERB …".
func play(ctx context.Context, role []string) error {
	b, err := connectTo(ctx, role[0])
	if err != nil {
		return err
	}
	return transporttest.Work(ctx, b, role[1:], os.Stdout)
}

func connectTo(ctx context.Context, url string) (transport.Broker, error) {
	return nats.Open(ctx, nats.Options{URL: url, Survives: "power"})
}

func TestNATSServerKeepsThePromisesOfABroker(t *testing.T) {
	s := startProcess(t, nil) // killed again and again
	target := transporttest.Target[transporttest.Site]{
		Name: "NATS",
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			return transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) { return connectTo(ctx, s.URL) },
				Command: func(ctx context.Context, args ...string) *exec.Cmd {
					return transporttest.Child(ctx, append([]string{s.URL}, args...)...)
				},
				Kill: s.Restart,
				Down: func(context.Context) (func(context.Context) error, error) {
					if err := s.Kill(); err != nil {
						return nil, fmt.Errorf("kill: %w", err)
					}
					return s.Restart, nil
				},
			}, nil, nil
		},
	}
	o := transporttest.Options{Full: os.Getenv("PARLEY_CONFORM") == "full"}
	transporttest.Record(t, target, transporttest.Run(t, target, o))
}
