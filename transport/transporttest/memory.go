package transporttest

import (
	"context"
	"fmt"
	"sync"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

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
