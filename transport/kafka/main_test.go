package kafka_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(play)
	goleak.VerifyTestMain(m)
}

// play is a child process: "work BROKER PREFIX PASSWORD VERB …", where the password is the owner's.
func play(ctx context.Context, role []string) error {
	if role[0] != "work" {
		return fmt.Errorf("role %q: want work", role)
	}
	b, err := kafka.Open(ctx, kafka.Options{
		Brokers: []string{role[1]}, Prefix: role[2], SASL: kafka.SASL{Mechanism: "scram-sha-256", User: ownerName, Password: role[3]},
	})
	if err != nil {
		return err
	}
	return transporttest.Work(ctx, b, role[4:], os.Stdout)
}

// patience is for what must happen: a test that waits so long has failed.
const patience = 60 * time.Second

// server starts one that the test may kill.
func server(t testing.TB, settings map[string]string) *servers.Server {
	t.Helper()
	s, err := servers.Start(t.Context(), servers.Kafka, servers.Options{Settings: settings})
	if err != nil {
		t.Fatalf("starting Kafka: %v", err)
	}
	t.Cleanup(func() {
		s.KeepLogs = t.Failed()
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stopping Kafka: %v", err)
		}
	})
	return s
}

// used is a server for tests that do it no harm.
func used(t testing.TB) *servers.Server {
	t.Helper()
	s, err := servers.Use(t.Context(), servers.Kafka)
	if err != nil {
		t.Fatalf("starting Kafka: %v", err)
	}
	t.Cleanup(func() {
		s.KeepLogs = t.Failed()
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stopping Kafka: %v", err)
		}
	})
	return s
}

func address(s *servers.Server) string { return strings.TrimPrefix(s.URL, "kafka://") }

var prefixes atomic.Int64

// prefix keeps what a test makes apart from the rest of the server.
func prefix() string { return fmt.Sprintf("t%d-%d", time.Now().Unix()%1_000_000, prefixes.Add(1)) }

func open(t testing.TB, s *servers.Server, prefix string) *kafka.Broker {
	t.Helper()
	b, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address(s)}, Prefix: prefix})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	return b
}

func closeIt(t testing.TB, b *kafka.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("Close = %v; want nil", err)
	}
}

func declare(t testing.TB, b *kafka.Broker, c ...transport.Channel) {
	t.Helper()
	if err := b.Declare(t.Context(), c); err != nil {
		t.Fatalf("Declare = %v; want nil", err)
	}
}

var ids atomic.Int64

func envelope(c transport.Channel, key string) *transport.Envelope {
	return &transport.Envelope{ID: fmt.Sprintf("id-%d", ids.Add(1)), Source: "test", Address: c.Address, Key: key, Body: []byte(`{}`)}
}

func send(t testing.TB, b *kafka.Broker, e ...*transport.Envelope) []transport.Receipt {
	t.Helper()
	receipts := b.Send(t.Context(), e)
	for i, r := range receipts {
		if r.Err != nil {
			t.Fatalf("receipt of %s: %v; want none", e[i].ID, r.Err)
		}
	}
	return receipts
}
