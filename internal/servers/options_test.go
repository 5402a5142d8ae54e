package servers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/internal/servers"
)

// settings are some that win over the package's own, and a check of what the server made of them.
var settings = map[servers.Kind]struct {
	set  map[string]string
	want string
	got  func(ctx context.Context, s *servers.Server) (string, error)
}{
	servers.RabbitMQ: {map[string]string{"consumer_timeout": "4321"}, "{ok,4321}\n", func(ctx context.Context, s *servers.Server) (string, error) {
		return s.Rabbitmqctl(ctx, "eval", "application:get_env(rabbit, consumer_timeout).")
	}},
	servers.Kafka: {map[string]string{"broker.session.timeout.ms": "4321"}, "4321", func(ctx context.Context, s *servers.Server) (string, error) {
		c, err := kgo.NewClient(kgo.SeedBrokers(strings.TrimPrefix(s.URL, "kafka://")))
		if err != nil {
			return "", err
		}
		defer c.Close()
		described, err := kadm.NewClient(c).DescribeBrokerConfigs(ctx, 1)
		if err != nil {
			return "", err
		}
		for _, setting := range described[0].Configs {
			if setting.Key == "broker.session.timeout.ms" {
				return setting.MaybeValue(), nil
			}
		}
		return "", errors.New("the broker has no such setting")
	}},
	servers.NATS: {map[string]string{"max_payload": "4321", "jetstream": "disabled"}, "4321, JetStream false", func(_ context.Context, s *servers.Server) (string, error) {
		c, err := nats.Connect(s.URL)
		if err != nil {
			return "", err
		}
		defer c.Close()
		enabled, _ := c.ConnectedServerJetStream()
		return fmt.Sprintf("%d, JetStream %v", c.MaxPayload(), enabled), nil
	}},
}

func TestAServerIsAsItWasOrderedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range servers.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := start(t, kind, servers.Options{Settings: settings[kind].set})
			r := record(t, s)
			if got, err := settings[kind].got(soon(t), s); got != settings[kind].want || err != nil {
				t.Errorf("with %v the server has %q, %v; want %q", settings[kind].set, got, err, settings[kind].want)
			}
			if outside := listeners(t, r); len(outside) > 0 {
				t.Errorf("the server listens at %v; want addresses of the loopback only", outside)
			}
			for range 2 {
				if err := s.Stop(t.Context()); err != nil {
					t.Errorf("Stop = %v; want nil, and nil the second time", err)
				}
			}
			for _, p := range r.Processes {
				if p.Running() {
					t.Errorf("%s, process %d, runs after Stop", p.Name, p.PID)
				}
			}
			if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
				t.Errorf("Stat(%s) after Stop = %v; want that it does not exist", r.Dir, err)
			}
			if err := s.Kill(); err == nil {
				t.Error("Kill after Stop = nil; want an error")
			}
		})
	}
}

func TestAServerThatRefusesItsSettingsSaysWhyAndKeepsItsLogs(t *testing.T) {
	t.Parallel()
	for kind, settings := range map[servers.Kind]map[string]string{
		servers.NATS:     {"jetstream": "perhaps"},
		servers.Kafka:    {"process.roles": "conductor"},
		servers.RabbitMQ: {"consumer_timeout": "soon"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			_, err := servers.Start(soon(t), kind, servers.Options{Settings: settings, Log: &log})
			if err == nil {
				t.Fatal("Start = nil; want an error")
			}
			for _, value := range settings {
				if !strings.Contains(err.Error(), value) {
					t.Errorf("Start = %v; want the server's own words about %q", err, value)
				}
			}
			_, dir, kept := strings.Cut(strings.TrimSpace(log.String()), "kept in ")
			if !kept {
				return // it did not come to writing a log: the error has everything
			}
			defer os.RemoveAll(filepath.Dir(dir))
			if logs, err := os.ReadDir(dir); err != nil || len(logs) == 0 {
				t.Errorf("ReadDir(%s) = %v, %v; want the logs", dir, logs, err)
			}
			if rest, _ := os.ReadDir(filepath.Dir(dir)); len(rest) != 1 {
				t.Errorf("beside the logs there are %v; want nothing", rest)
			}
		})
	}
}

func TestADirectoryOfTheCallersIsKeptAndMustBeEmpty(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	s := start(t, servers.NATS, servers.Options{Dir: dir})
	if r := record(t, s); r.Dir != "" {
		t.Errorf("the record's Dir = %s; want none, because that is removed", r.Dir)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err != nil {
		t.Errorf("after Stop: %v; want that the data are kept", err)
	}
	if _, err := servers.Start(t.Context(), servers.NATS, servers.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Start in a directory that is not empty = %v; want an error that names it", err)
	}
}
