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

// target is a server of its own with users, which is killed with SIGKILL. Each check has a prefix of its own.
func target(s *servers.Server, o *owner) transporttest.Target[transporttest.Site] {
	return transporttest.Target[transporttest.Site]{
		Name: "Kafka",
		Declared: map[int]string{
			3: "a single broker confirms before it has synced: its confirmations survive its process, as Features.Survives says",
			9: "Kafka bounds a topic by dropping its oldest messages, so that RetainBytes of a Queue or Topic is recorded only",
		},
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			prefix := prefix()
			if err := o.learn(); err != nil { // a check may have failed before it did
				return transporttest.Site{}, nil, err
			}
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
					return kafka.Open(ctx, o.options(named, prefix))
				},
				Open: func(ctx context.Context) (transport.Broker, error) {
					return kafka.Open(ctx, o.options(address(s), prefix))
				},
				Command: func(ctx context.Context, args ...string) *exec.Cmd {
					password, _ := o.ask() // which has no error
					return transporttest.Child(ctx, append([]string{"work", address(s), prefix, password}, args...)...)
				},
				Kill: func(ctx context.Context) error { return s.Restart(context.WithoutCancel(ctx)) }, // the next check needs it
				Wipe: func(ctx context.Context) error {
					return errors.Join(s.Wipe(context.WithoutCancel(ctx)), o.change(ctx, true))
				},
				Denied: func(ctx context.Context) (transport.Broker, error) {
					return kafka.Open(ctx, kafka.Options{
						Brokers: []string{address(s)}, Prefix: prefix, SASL: kafka.SASL{Mechanism: "plain", User: alice, Password: alicePassword},
					})
				},
				Rotate: func(ctx context.Context) (func() error, error) { // Kafka itself ends no connection
					return o.learn, errors.Join(o.change(ctx, false), s.Restart(context.WithoutCancel(ctx)))
				},
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
	s := server(t, withUsers())
	owner, err := newOwner(t.Context(), s)
	if err != nil {
		t.Fatalf("making the user: %v", err)
	}
	target := target(s, owner)
	transporttest.Record(t, target, transporttest.Run(t, target, o))
}
