package transporttest

import (
	"context"
	"fmt"
	"sync"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// MemoryDeclared are the promises that transport/mem cannot keep, by their numbers, and why.
func MemoryDeclared() map[int]string {
	const (
		volatile = "the broker is memory of this process: nothing survives its end, as Features.Survives says"
		local    = "there is no network between a process and its memory"
		open     = "there are no users: who has the fabric may do everything"
	)
	return map[int]string{
		2:  volatile,
		3:  volatile,
		22: "what is returned comes again at once, as the package says: nothing but this process would be spared by a pause",
		32: "the messages themselves are memory of this process",
		36: local,
		37: local,
		38: "the broker cannot lose its memory without the process that asks for it",
		41: open,
		42: open,
	}
}

// Memory is a site of transport/mem: each connection is of a simulated process of its own, which Crash ends, and the
// fabric is the broker, whose memory stays when it is stopped. wrap stands between the checks and each connection; nil =
// nothing.
func Memory(fabric *mem.Fabric, wrap func(*mem.Broker) transport.Broker) Site {
	var mu sync.Mutex
	processes := make(map[transport.Broker]*mem.Process)
	return Site{
		Open: func(context.Context) (transport.Broker, error) {
			mu.Lock()
			defer mu.Unlock()
			p := fabric.Process(fmt.Sprintf("p%d", len(processes)))
			var b transport.Broker = p.Broker()
			if wrap != nil {
				b = wrap(p.Broker())
			}
			processes[b] = p
			return b, nil
		},
		Crash: func(b transport.Broker) error {
			mu.Lock()
			defer mu.Unlock()
			processes[b].Kill()
			return nil
		},
		Kill: func(context.Context) error {
			fabric.Stop()
			fabric.Start()
			return nil
		},
		Down: func(context.Context) (func(context.Context) error, error) {
			fabric.Stop()
			return func(context.Context) error {
				fabric.Start()
				return nil
			}, nil
		},
	}
}
