package servers_test

import (
	"net"
	"strings"
	"testing"

	"github.com/parley-io/parley/internal/servers"
)

func TestTheEnvironmentsServerIsUsedAndNotTouched(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for kind, url := range map[servers.Kind]string{
		servers.RabbitMQ: "amqp://me:secret@" + l.Addr().String() + "/vhost",
		servers.Kafka:    "kafka://" + l.Addr().String() + ",127.0.0.1:1",
		servers.NATS:     "nats://" + l.Addr().String(),
	} {
		t.Setenv(kind.Variable(), url)
		s, err := servers.Use(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		if s.URL != url {
			t.Errorf("URL = %s; want %s of %s", s.URL, url, kind.Variable())
		}
		for verb, do := range map[string]func() error{
			"Kill": s.Kill, "Freeze": s.Freeze, "Thaw": s.Thaw,
			"Restart": func() error { return s.Restart(t.Context()) },
		} {
			if err := do(); err == nil || !strings.Contains(err.Error(), "not started here") {
				t.Errorf("%s of the environment's %s = %v; want that it was not started here", verb, kind, err)
			}
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("Stop of the environment's %s = %v; want nil", kind, err)
		}
	}
}

func TestAnEnvironmentThatNamesNoServerIsAnErrorThatHidesThePassword(t *testing.T) {
	gone, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, url := range []string{
		"amqp://me:secret@" + gone.Addr().String(), "amqp://me:secret@127.0.0.1", "me:secret@127.0.0.1:5672", "amqp://me:secret@127.0.0.1:%zz", "secret",
	} {
		t.Setenv(servers.RabbitMQ.Variable(), url)
		_, err := servers.Use(t.Context(), servers.RabbitMQ)
		if err == nil || !strings.Contains(err.Error(), "PARLEY_TEST_RABBITMQ") || !strings.Contains(err.Error(), "make services") {
			t.Errorf("Use with %s = %v; want an error that names the variable and what to do", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Use with %s = %v; want no password in it", url, err)
		}
	}
}

func TestAServerIsNotStartedWithoutBeingAskedForAKnownKind(t *testing.T) {
	if _, err := servers.Start(t.Context(), "pigeon", servers.Options{}); err == nil || !strings.Contains(err.Error(), "rabbitmq kafka nats") {
		t.Errorf("Start of a pigeon = %v; want the kinds that there are", err)
	}
}
