package transporttest_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// memory is a target of transport/mem, in virtual time. wrap stands between the checks and each connection; nil = nothing.
func memory(wrap func(*mem.Broker) transport.Broker) transporttest.Target[transporttest.Site] {
	return transporttest.Target[transporttest.Site]{
		Name:     "mem",
		Virtual:  true,
		Declared: transporttest.MemoryDeclared(),
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			return transporttest.Memory(mem.New(), wrap), nil, nil
		},
	}
}

func TestMemoryKeepsThePromisesOfABroker(t *testing.T) {
	target := memory(nil)
	transporttest.Record(t, target, transporttest.Run(t, target, transporttest.FromEnvironment(t)))
}

// memoryCalls is a target of transport/mem for calls, in virtual time. wrap is as in memory.
func memoryCalls(wrap func(*mem.Caller) transport.Caller) transporttest.Target[transporttest.Peers] {
	return transporttest.Target[transporttest.Peers]{
		Name:    "mem",
		Virtual: true,
		Start: func(context.Context) (transporttest.Peers, func(context.Context) error, error) {
			fabric := mem.New()
			var names atomic.Int32
			return transporttest.Peers{
				Open: func(context.Context) (transport.Caller, error) {
					c := fabric.Process(fmt.Sprintf("p%d", names.Add(1))).Caller()
					if wrap != nil {
						return wrap(c), nil
					}
					return c, nil
				},
				MaxBytes: transport.DefaultMaxBody,
			}, nil, nil
		},
	}
}

func TestMemoryKeepsThePromisesOfACaller(t *testing.T) {
	transporttest.RunCaller(t, memoryCalls(nil), transporttest.FromEnvironment(t))
}
