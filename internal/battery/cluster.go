package main

import (
	"context"
	"fmt"
	"time"
)

// loseNodes kills one node of the cluster after the other at random under load, each once all copies are in sync again.
// Messages have to flow without it.
func loseNodes(ctx context.Context, s *stage, _ *proxy) error {
	if _, err := s.begin(ctx, offer{perSecond: 500, publishers: 2, handlers: 4}); err != nil {
		return err
	}
	if err := s.site.cluster.InSync(ctx); err != nil {
		return err
	}
	kills := s.count(15, 3)
	var longest time.Duration
	for i := range kills {
		n := s.random.IntN(len(s.site.cluster.Nodes))
		node := s.site.cluster.Nodes[n]
		killed := time.Now()
		if err := node.Kill(); err != nil {
			return err
		}
		took, err := s.flows(ctx, killed.Add(100*time.Millisecond)) // what was on its way then does not count
		if err != nil {
			return fmt.Errorf("without node %d: %w", n+1, err)
		}
		longest = max(longest, took)
		sleep(ctx, 2*time.Second)
		if err := node.Restart(ctx); err != nil {
			return err
		}
		back := time.Now()
		if err := s.site.cluster.InSync(ctx); err != nil {
			return err
		}
		s.sayf("kill %d of %d: node %d; messages flow after %v; in sync again %v after its return", i+1, kills, n+1, short(took), short(time.Since(back)))
		s.book.note(fault{what: fmt.Sprintf("kill of node %d", n+1), from: killed, until: time.Now()})
	}
	s.figuref("kills of a node", "%d", kills)
	s.figuref("longest until messages flow without it", "%v", short(longest))
	return s.finish(ctx, true)
}
