package kafka_test

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

// target is a server of its own, which is killed with SIGKILL. Each check has a prefix of its own.
func target(s *servers.Server) transporttest.Target[transporttest.Site] {
	return transporttest.Target[transporttest.Site]{
		Name: "Kafka",
		Declared: map[int]string{
			3: "a single broker confirms before it has synced: its confirmations survive its process, as Features.Survives says",
			9: "Kafka bounds a topic by dropping its oldest messages, so that RetainBytes of a Queue or Topic is recorded only",
		},
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			prefix := prefix()
			var fronts []*front
			stop := func(context.Context) (err error) {
				for _, f := range fronts {
					err = errors.Join(err, f.close())
				}
				return err
			}
			return transporttest.Site{
				Through: func(ctx context.Context, via func(string) string) (transport.Broker, error) {
					f, err := newFront(ctx, address(s))
					if err != nil {
						return nil, err
					}
					fronts = append(fronts, f)
					named := via(f.listener.Addr().String())
					f.name(named)
					return kafka.Open(ctx, kafka.Options{Brokers: []string{named}, Prefix: prefix})
				},
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
			}, stop, nil
		},
	}
}

func TestKafkaKeepsThePromisesOfABroker(t *testing.T) {
	o := transporttest.FromEnvironment(t)
	if !o.Full {
		o.Patience = 5 * time.Minute // a start of the server was seen to take 95 s on a busy machine
	}
	target := target(server(t, nil))
	transporttest.Record(t, target, transporttest.Run(t, target, o))
}
