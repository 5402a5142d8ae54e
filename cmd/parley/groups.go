package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
)

func newGroupsCommand(a *app) *cobra.Command {
	return group("groups", "Show and remove the groups that subscribe to events", newGroupsListCommand(a), newGroupsRmCommand(a))
}

func newGroupsListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the groups that are expected to receive, running or not",
		Long: `list shows every registered group of an event: UP how many instances receive for it now, WAITING how many messages
wait for it. A group stays registered, and messages wait for it, until it is removed.`,
		Example: "  parley groups list\n  parley groups list -o json",
		Args:    cobra.NoArgs,
		RunE:    a.on(a.within(lookLimit, func(ctx context.Context, s *session, _ []string) error { return a.listGroups(ctx, s) })),
	}
}

// groupRow is a group as it is shown.
type groupRow struct {
	Address string    `json:"address"`
	Group   string    `json:"group"`
	Since   time.Time `json:"since"`
	Up      int       `json:"up"`
	Waiting int64     `json:"waiting"`
	Oldest  time.Time `json:"oldest,omitzero"` // of those that wait
}

func (a *app) listGroups(ctx context.Context, s *session) error {
	p, err := s.directory()
	if err != nil {
		return err
	}
	rows := []groupRow{}
	for _, r := range p.Registrations() {
		row := groupRow{Address: r.Address, Group: r.Group, Since: r.Since, Up: up(s, r.Address, r.Group)}
		row.Waiting, row.Oldest, err = s.net.Operator.Backlog(ctx, subscribed(r.Address), r.Group)
		if err != nil {
			a.note("warning: %v", err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 && a.table() {
		a.note("no group subscribes to anything on %s", s.net.Name)
		return nil
	}
	now := time.Now()
	return show(a, rows, rows, func(t *table) {
		t.row("ADDRESS", "GROUP", "UP", "WAITING", "OLDEST", "SINCE")
		for _, r := range rows {
			t.row(r.Address, r.Group, r.Up, r.Waiting, ago(r.Oldest, now), ago(r.Since, now))
		}
	})
}

// subscribed is the channel of a group, as far as an Operator needs to know it: what it asks for is the same for a
// topic and a stream of any form.
func subscribed(address string) transport.Channel {
	return transport.Channel{Address: address, Pattern: transport.Topic}
}

// up is how many running instances receive for a group.
func up(s *session, address, group string) (n int) {
	for _, i := range s.net.Directory.Instances() {
		if slices.Contains(i.Receives, parley.Reception{Address: address, Group: group}) {
			n++
		}
	}
	return n
}

func newGroupsRmCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "rm ADDRESS GROUP",
		Short: "Remove a group and what waits for it",
		Long: `rm forgets a group that nobody receives for any more: messages are no longer kept for it, and trails no longer
expect it. What waits for it is lost; rm says how much that is, and needs -y when nobody can be asked.`,
		Example: "  parley groups rm storefront.v1.order-placed fraud\n  parley groups rm storefront.v1.order-placed fraud -y -o json",
		Args:    cobra.ExactArgs(2),
		RunE: a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			return a.removeGroup(ctx, s, args[0], args[1], yes)
		})),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	return c
}

// removed is what rm prints.
type removed struct {
	Address string `json:"address"`
	Group   string `json:"group"`
	Lost    int64  `json:"lost"` // messages that waited for it
}

func (a *app) removeGroup(ctx context.Context, s *session, address, group string, yes bool) error {
	p, err := s.directory()
	if err != nil {
		return err
	}
	groups, _ := p.Groups(address)
	if !slices.Contains(groups, group) {
		return &failure{err: fmt.Errorf("no group %s of %s", group, address), try: "parley groups list", exit: exitNotFound}
	}
	if n := up(s, address, group); n > 0 {
		return &failure{err: fmt.Errorf("%s of group %s of %s: stop them first, or they make it anew", plural(n, "running instance"), group, address), try: "parley ps", exit: exitConflict}
	}
	waiting, _, err := s.net.Operator.Backlog(ctx, subscribed(address), group)
	if err != nil && !errors.Is(err, transport.ErrNotFound) {
		return err
	}
	question := fmt.Sprintf("remove group %s of %s; %s wait for it and would be lost", group, address, plural(int(waiting), "message"))
	if err := a.confirm(question, yes); err != nil {
		return err
	}
	if err := s.net.Operator.RemoveGroup(ctx, subscribed(address), group); err != nil && !errors.Is(err, transport.ErrNotFound) {
		return err
	}
	if err := p.Remove(ctx, address, group); err != nil {
		return err
	}
	return showOne(a, removed{address, group, waiting}, func(t *table) {
		t.row(fmt.Sprintf("removed group %s of %s; %s lost", group, address, plural(int(waiting), "message")))
	})
}
