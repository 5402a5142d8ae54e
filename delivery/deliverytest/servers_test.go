//go:build battery

package deliverytest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/delivery/deliverytest"
	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/rabbitmq"
	"github.com/parley-io/parley/transport/transporttest"
)

// server is a target of a server of its own, which is killed with SIGKILL; open connects to its URL under a prefix.
func server(t *testing.T, kind servers.Kind, open func(ctx context.Context, url, prefix string) (transport.Broker, error)) transporttest.Target[transporttest.Site] {
	t.Helper()
	s, err := servers.Start(t.Context(), kind, servers.Options{})
	if err != nil {
		t.Fatalf("starting %s: %v", kind, err)
	}
	t.Cleanup(func() {
		s.KeepLogs = t.Failed()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stopping %s: %v", kind, err)
		}
	})
	return transporttest.Target[transporttest.Site]{
		Name: string(kind),
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			prefix := "d" + strings.ToLower(rand.Text()[:8])
			return transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) { return open(ctx, s.URL, prefix) },
				Kill: func(ctx context.Context) error {
					return errors.Join(s.Kill(), s.Restart(context.WithoutCancel(ctx))) // the next check needs it
				},
			}, nil, nil
		},
	}
}

func TestDeliveryOnRabbitMQKeepsItsPromises(t *testing.T) {
	deliverytest.Run(t, server(t, servers.RabbitMQ, func(ctx context.Context, url, prefix string) (transport.Broker, error) {
		return rabbitmq.Open(ctx, rabbitmq.Options{URL: url, Prefix: prefix})
	}), transporttest.Options{Patience: 3 * time.Minute})
}

func TestDeliveryOnKafkaKeepsItsPromises(t *testing.T) {
	deliverytest.Run(t, server(t, servers.Kafka, func(ctx context.Context, url, prefix string) (transport.Broker, error) {
		return kafka.Open(ctx, kafka.Options{Brokers: []string{strings.TrimPrefix(url, "kafka://")}, Prefix: prefix})
	}), transporttest.Options{Patience: 3 * time.Minute})
}
