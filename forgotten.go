package parley

import (
	"context"
	"slices"
	"time"
)

const (
	// forgottenAfter is how long messages wait for a group of which no instance runs before somebody is told.
	forgottenAfter = 24 * time.Hour
	// forgottenLook is how often a service looks.
	forgottenLook = time.Hour
)

// watchGroups warns of groups that were forgotten, until ctx is done: those of the events of the service's own APIs for
// which messages wait, since more than a day, while no instance of them runs. Such a group may have been renamed, and what
// waits for it takes the broker's room for ever. A warning is repeated each day.
func (s *Service) watchGroups(ctx context.Context) {
	if s.client.net.Directory == nil || s.client.net.Operator == nil || len(s.events()) == 0 {
		return
	}
	absent, told := make(map[Reception]time.Time), make(map[Reception]time.Time)
	t := time.NewTicker(forgottenLook)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			s.lookForForgotten(ctx, now, absent, told)
		case <-ctx.Done():
			return
		}
	}
}

// lookForForgotten looks once. absent says since when it is known that nobody of a group runs and messages wait; told,
// when the last warning was.
func (s *Service) lookForForgotten(ctx context.Context, now time.Time, absent, told map[Reception]time.Time) {
	var there []Reception
	for _, i := range s.client.net.Directory.Instances() {
		there = append(there, i.Receives...)
	}
	for _, c := range s.events() {
		groups, _ := s.client.net.Directory.Groups(c.address)
		for _, group := range groups {
			who := Reception{Address: c.address, Group: group}
			waiting, oldest, err := s.client.net.Operator.Backlog(ctx, c.channel, group)
			switch {
			case err != nil: // perhaps the next time
				continue
			case waiting == 0 || slices.Contains(there, who):
				delete(absent, who)
				delete(told, who)
				continue
			}
			if absent[who].IsZero() {
				absent[who] = now
			}
			since := absent[who]
			if !oldest.IsZero() && oldest.Before(since) { // where the broker tells
				since = oldest
			}
			if now.Sub(since) < forgottenAfter || now.Sub(told[who]) < forgottenAfter {
				continue
			}
			told[who] = now
			s.client.log.Warn("parley: a group is forgotten: messages wait for it and no instance of it runs; start one, or remove the group with: parley groups rm "+c.address+" "+group,
				"service", s.client.name, "address", c.address, "group", group, "waiting", waiting, "since", since)
		}
	}
}
