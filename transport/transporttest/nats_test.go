package transporttest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(play)
	goleak.VerifyTestMain(m)
}

const token = "no-secret-of-anybody" // of brokers that live for one check

// play is a child process: "broker DIR LISTEN" or "work URL VERB …".
func play(ctx context.Context, role []string) error {
	switch role[0] {
	case "broker":
		listen := strings.TrimPrefix(role[2], "nats://")
		server, err := embedded.Start(ctx, embedded.Options{Dir: role[1], Listen: listen, Token: token})
		if err != nil {
			return err
		}
		fmt.Println(server.URL())
		<-ctx.Done()
		return server.Close(context.WithoutCancel(ctx))
	case "work":
		b, err := connect(ctx, role[1])
		if err != nil {
			return err
		}
		return transporttest.Work(ctx, b, role[2:], os.Stdout)
	}
	return fmt.Errorf("role %q: want broker or work", role)
}

func connect(ctx context.Context, url string) (transport.Broker, error) {
	return nats.Open(ctx, nats.Options{URL: url, Token: token, Survives: "power"})
}

// loopback is the embedded broker in a process of its own, reached over loopback and killed with SIGKILL.
func loopback(t *testing.T) transporttest.Target[transporttest.Site] {
	return transporttest.Target[transporttest.Site]{
		Name: "embedded NATS, loopback",
		Start: func(ctx context.Context) (transporttest.Site, func(context.Context) error, error) {
			dir := t.TempDir()
			d := &transporttest.Daemon{Role: []string{"broker", dir, "127.0.0.1:0"}}
			if err := d.Start(ctx); err != nil {
				return transporttest.Site{}, nil, err
			}
			return transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) { return connect(ctx, d.Address) },
				Command: func(ctx context.Context, args ...string) *exec.Cmd {
					return transporttest.Child(ctx, append([]string{"work", d.Address}, args...)...)
				},
				Through: func(ctx context.Context, via func(string) string) (transport.Broker, error) {
					return connect(ctx, "nats://"+via(strings.TrimPrefix(d.Address, "nats://")))
				},
				Kill: d.Restart,
				Down: d.Down,
				Wipe: func(ctx context.Context) error {
					return errors.Join(d.Kill(ctx), os.RemoveAll(dir), d.Start(ctx))
				},
			}, d.Kill, nil
		},
	}
}

// inProcess is the embedded broker in this process, without a socket.
func inProcess(t *testing.T) transporttest.Target[transporttest.Site] {
	const why = "the broker and its clients are one process and die together; tried over loopback"
	return transporttest.Target[transporttest.Site]{
		Name: "embedded NATS, in process",
		Declared: map[int]string{2: why, 4: why, 5: why, 13: why, 14: why, 21: why, 26: why, 31: why, 35: why, 36: why, 37: why, 38: why,
			42: "there are no users: who has the server may do everything"},
		Start: func(ctx context.Context) (transporttest.Site, func(context.Context) error, error) {
			server, err := embedded.Start(ctx, embedded.Options{Dir: t.TempDir()})
			if err != nil {
				return transporttest.Site{}, nil, err
			}
			open := func(ctx context.Context) (transport.Broker, error) {
				return nats.Open(ctx, nats.Options{InProcess: server, Survives: server.Survives()})
			}
			return transporttest.Site{Open: open}, server.Close, nil
		},
	}
}

func TestEmbeddedNATSOverLoopbackKeepsThePromisesOfABroker(t *testing.T) {
	target := loopback(t)
	transporttest.Record(t, target, transporttest.Run(t, target, transporttest.FromEnvironment(t)))
}

func TestEmbeddedNATSInProcessKeepsThePromisesOfABroker(t *testing.T) {
	target := inProcess(t)
	transporttest.Record(t, target, transporttest.Run(t, target, transporttest.FromEnvironment(t)))
}
