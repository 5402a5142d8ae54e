package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/parley-io/parley"
)

// collectorService is the name under which collectors announce themselves. They describe nothing.
const collectorService = "parley"

// described is an instance with what it said about itself.
type described struct {
	at  parley.Instance // as it announced itself
	is  parley.Description
	err error // it did not say
}

// describe asks all running instances beside each other what they are and do.
func describe(ctx context.Context, s *session) []described {
	var all []described
	for _, i := range s.net.Directory.Instances() {
		if i.Service != collectorService {
			all = append(all, described{at: i})
		}
	}
	var asked sync.WaitGroup
	for i := range all {
		if all[i].at.Peer == "" {
			continue
		}
		asked.Go(func() { all[i].is, all[i].err = parley.DescribeInstance(ctx, s.client, all[i].at) })
	}
	asked.Wait()
	return all
}

// complain says which instances did not answer.
func (a *app) complain(all []described) {
	for _, c := range complaints(all) {
		a.note("%s", c)
	}
}

// complaints name the instances that did not answer, a line each.
func complaints(all []described) (lines []string) {
	for _, d := range all {
		if d.err != nil {
			lines = append(lines, fmt.Sprintf("warning: %s %s does not say what it does: %v", d.at.Service, d.at.ID, d.err))
		}
	}
	return lines
}
