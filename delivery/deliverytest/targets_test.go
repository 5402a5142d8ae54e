package deliverytest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/delivery/deliverytest"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

const token = "no-secret-of-anybody" // of brokers that live for one check

func TestMain(m *testing.M) {
	transporttest.Play(func(ctx context.Context, role []string) error { // "broker DIR LISTEN"
		server, err := embedded.Start(ctx, embedded.Options{Dir: role[1], Listen: strings.TrimPrefix(role[2], "nats://"), Token: token})
		if err != nil {
			return err
		}
		fmt.Println(server.URL())
		<-ctx.Done()
		return server.Close(context.WithoutCancel(ctx))
	})
	goleak.VerifyTestMain(m)
}

// memory is a target of transport/mem, in virtual time. wrap stands between the checks and each connection; nil = nothing.
func memory(wrap func(*mem.Broker) transport.Broker) transporttest.Target[transporttest.Site] {
	return transporttest.Target[transporttest.Site]{
		Name:    "mem",
		Virtual: true,
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			return transporttest.Memory(mem.New(), wrap), nil, nil // its memory stays when it is killed: the fabric promises no more
		},
	}
}

func TestDeliveryOnMemoryKeepsItsPromises(t *testing.T) {
	deliverytest.Run(t, memory(nil), transporttest.Options{})
}

func TestDeliveryOnEmbeddedNATSKeepsItsPromises(t *testing.T) {
	deliverytest.Run(t, transporttest.Target[transporttest.Site]{
		Name: "embedded NATS, loopback",
		Start: func(ctx context.Context) (transporttest.Site, func(context.Context) error, error) {
			d := &transporttest.Daemon{Role: []string{"broker", t.TempDir(), "127.0.0.1:0"}}
			if err := d.Start(ctx); err != nil {
				return transporttest.Site{}, nil, err
			}
			return transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) {
					return nats.Open(ctx, nats.Options{URL: d.Address, Token: token, Survives: "power"})
				},
				Kill: d.Restart,
			}, d.Kill, nil
		},
	}, transporttest.Options{})
}
