//go:build battery

package nats_test

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"testing"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// everyNode does something with all nodes at once.
func everyNode(c *servers.Cluster, do func(*servers.Server) error) error {
	errs := make([]error, len(c.Nodes))
	var all sync.WaitGroup
	for i, node := range c.Nodes {
		all.Go(func() { errs[i] = do(node) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func TestANATSClusterKeepsThePromisesOfABroker(t *testing.T) {
	c := startCluster(t)
	next := 0
	target := transporttest.Target[transporttest.Site]{
		Name: "NATS, a cluster of three",
		Start: func(context.Context) (transporttest.Site, func(context.Context) error, error) {
			return transporttest.Site{
				Open: func(ctx context.Context) (transport.Broker, error) { return connectToCluster(ctx, c.URL) },
				Command: func(ctx context.Context, args ...string) *exec.Cmd {
					return transporttest.Child(ctx, append([]string{"cluster", c.URL}, args...)...)
				},
				Kill: func(ctx context.Context) error { // one node after the other
					node := c.Nodes[next%len(c.Nodes)]
					next++
					if err := node.Restart(ctx); err != nil {
						return err
					}
					return c.InSync(ctx)
				},
				Down: func(context.Context) (func(context.Context) error, error) {
					up := func(ctx context.Context) error {
						if err := everyNode(c, func(s *servers.Server) error { return s.Restart(ctx) }); err != nil {
							return err
						}
						return c.InSync(ctx)
					}
					return up, everyNode(c, (*servers.Server).Kill)
				},
			}, nil, nil
		},
	}
	transporttest.Run(t, target, transporttest.FromEnvironment(t))
}
