package kafka_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

// target is a server of its own, which is killed with SIGKILL. Each check has a prefix of its own.
func target(s *servers.Server) transporttest.Target[transporttest.Site] {
	return transporttest.Target[transporttest.Site]{
		Name: "Kafka",
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			prefix := prefix()
			return transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) {
					return kafka.Open(ctx, kafka.Options{Brokers: []string{address(s)}, Prefix: prefix})
				},
				Command: func(ctx context.Context, args ...string) *exec.Cmd {
					return transporttest.Child(ctx, append([]string{"work", address(s), prefix}, args...)...)
				},
				Kill: func(ctx context.Context) error { return s.Restart(context.WithoutCancel(ctx)) }, // the next check needs it
				Down: func(context.Context) (func(context.Context) error, error) {
					return func(ctx context.Context) error { return s.Restart(context.WithoutCancel(ctx)) }, s.Kill()
				},
			}, nil, nil
		},
	}
}

func TestKafkaKeepsThePromisesOfABroker(t *testing.T) {
	o := transporttest.Options{Full: os.Getenv("PARLEY_CONFORM") == "full"}
	target := target(server(t, nil))
	transporttest.Record(t, target, transporttest.Run(t, target, o))
}
