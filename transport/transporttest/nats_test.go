package transporttest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/internal/testdisk"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(play)
	goleak.VerifyTestMain(m)
}

// play is a child process: "broker DIR TOKEN LISTEN", or "work URL FILE VERB …" with the token in a file.
func play(ctx context.Context, role []string) error {
	switch role[0] {
	case "broker":
		listen := strings.TrimPrefix(role[3], "nats://")
		server, err := embedded.Start(ctx, embedded.Options{Dir: role[1], Listen: listen, Token: role[2]})
		if err != nil {
			return err
		}
		fmt.Println(server.URL())
		<-ctx.Done()
		return server.Close(context.WithoutCancel(ctx))
	case "work":
		b, err := connect(ctx, role[1], role[2])
		if err != nil {
			return err
		}
		return transporttest.Work(ctx, b, role[3:], os.Stdout)
	}
	return fmt.Errorf("role %q: want broker or work", role)
}

// connect shows the token that a file has at each connection.
func connect(ctx context.Context, url, file string) (transport.Broker, error) {
	token := func() (string, error) {
		b, err := os.ReadFile(file)
		return string(b), err
	}
	return nats.Open(ctx, nats.Options{URL: url, Password: token, Survives: "power"})
}

// loopback is the embedded broker in a process of its own, reached over loopback and killed with SIGKILL.
func loopback(t *testing.T) transporttest.Target[transporttest.Site] {
	disk := testdisk.New(t)
	return transporttest.Target[transporttest.Site]{
		Name: "embedded NATS, loopback",
		Long: disk != nil,
		Declared: map[int]string{
			42: "there are no users: who has the token may do everything",
		},
		Start: func(ctx context.Context) (transporttest.Site, func(context.Context) error, error) {
			dir, token := t.TempDir(), filepath.Join(t.TempDir(), "token")
			if disk != nil {
				dir = filepath.Join(disk.Dir, filepath.Base(dir))
			}
			first := rand.Text()
			d := &transporttest.Daemon{Role: []string{"broker", dir, first, "127.0.0.1:0"}}
			if err := errors.Join(os.WriteFile(token, []byte(first), 0o600), d.Start(ctx)); err != nil {
				return transporttest.Site{}, nil, err
			}
			site := transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) { return connect(ctx, d.Address, token) },
				Command: func(ctx context.Context, args ...string) *exec.Cmd {
					return transporttest.Child(ctx, append([]string{"work", d.Address, token}, args...)...)
				},
				Through: func(ctx context.Context, via func(string) string) (transport.Broker, error) {
					return connect(ctx, "nats://"+via(strings.TrimPrefix(d.Address, "nats://")), token)
				},
				Kill: d.Restart,
				Down: d.Down,
				Wipe: func(ctx context.Context) error {
					return errors.Join(d.Kill(ctx), os.RemoveAll(dir), d.Start(ctx))
				},
				Rotate: func(ctx context.Context) (learn func() error, err error) { // a token is of one run of the broker
					next := rand.Text()
					d.Role[2] = next
					return func() error { return os.WriteFile(token, []byte(next), 0o600) }, d.Restart(ctx)
				},
			}
			if disk != nil {
				site.PowerLoss = func(ctx context.Context) error {
					return errors.Join(disk.LosePower(ctx, d.Process(), func() error { return d.Kill(ctx) }), d.Start(ctx))
				}
			}
			return site, d.Kill, nil
		},
	}
}

// inProcess is the embedded broker in this process, without a socket.
func inProcess(t *testing.T) transporttest.Target[transporttest.Site] {
	const why = "the broker and its clients are one process and die together; tried over loopback"
	const users = "there are no users: who has the server may do everything"
	return transporttest.Target[transporttest.Site]{
		Name: "embedded NATS, in process",
		Declared: map[int]string{2: why, 3: why, 4: why, 5: why, 13: why, 14: why, 21: why, 26: why, 31: why, 35: why, 36: why, 37: why, 38: why,
			41: users, 42: users},
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
