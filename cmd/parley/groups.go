package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/transport"
)

func newGroupsCommand(a *app) *cobra.Command {
	return group("groups", "Show and remove who is expected to receive: groups of events, owners of operations", newGroupsListCommand(a), newGroupsRmCommand(a))
}

func newGroupsListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the groups that are expected to receive, running or not",
		Long: `list shows every registered group of an event: UP how many instances receive for it now, WAITING how many messages
wait for it. A group stays registered, and messages wait for it, until it is removed. The owner of an operation is shown as
(owner): it is known, and requests wait for it in its queue, while it is away.`,
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
	rows, channels := []groupRow{}, channelsOf(describe(ctx, s))
	for _, r := range p.Registrations() {
		row := groupRow{Address: r.Address, Group: r.Group, Since: r.Since, Up: up(s, r.Address, r.Group)}
		row.Waiting, row.Oldest, err = backlogOf(ctx, s, channels, r.Address, r.Group)
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
			t.row(r.Address, groupName(r.Group), r.Up, r.Waiting, ago(r.Oldest, now), ago(r.Since, now))
		}
	})
}

// subscribed is the channel of an event: as a running instance announced it, else a topic without order, which is as
// good a name for its groups on a broker that keeps those of any form alike.
func subscribed(channels map[string]transport.Channel, address string) (c transport.Channel, known bool) {
	if c, known = channels[address]; known {
		return c, true
	}
	return transport.Channel{Address: address, Pattern: transport.Topic}, false
}

// backlogOf is what waits for a group; for the owner of an operation, in its queue.
func backlogOf(ctx context.Context, s *session, channels map[string]transport.Channel, address, group string) (waiting int64, oldest time.Time, err error) {
	c, receiver := transport.Channel{Address: address, Pattern: transport.Queue}, ""
	if group != parley.OwnerGroup {
		c, _ = subscribed(channels, address)
		receiver = group
	}
	return s.net.Operator.Backlog(ctx, c, receiver)
}

// groupName is a group as people read it.
func groupName(group string) string {
	if group == parley.OwnerGroup {
		return "(owner)"
	}
	return group
}

// up is how many running instances receive for a group.
func up(s *session, address, group string) (n int) {
	for _, i := range s.net.Directory.Instances() {
		if slices.Contains(i.Receives, parley.Reception{Address: address, Group: group}) || group == parley.OwnerGroup && slices.Contains(i.Operations, address) {
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
expect it. What waits for it is lost; rm says how much that is, and needs -y when nobody can be asked.

With "owner" as group it forgets an operation that nobody owns any more: command lines do not know it while its owner is
away. Nothing is lost by that, and it is refused while requests wait in the operation's queue.`,
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
	channels := channelsOf(describe(ctx, s))
	waiting, _, err := backlogOf(ctx, s, channels, address, group)
	if err != nil && !errors.Is(err, transport.ErrNotFound) {
		return err
	}
	if group == parley.OwnerGroup {
		return a.forgetOperation(ctx, p, address, waiting, yes)
	}
	channel, known := subscribed(channels, address)
	if errors.Is(err, transport.ErrNotFound) && !known {
		return &failure{exit: exitNotFound, try: "parley ps", err: fmt.Errorf("group %s of %s is not found, and nobody who runs knows whether the event is a stream or keeps order by key: start a service that publishes or receives it, and try again", group, address)}
	}
	question := fmt.Sprintf("remove group %s of %s; %s wait for it and would be lost", group, address, plural(int(waiting), "message"))
	if err := a.confirm(question, yes); err != nil {
		return err
	}
	if err := s.net.Operator.RemoveGroup(ctx, channel, group); err != nil && !errors.Is(err, transport.ErrNotFound) {
		return err
	}
	if err := p.Remove(ctx, address, group); err != nil {
		return err
	}
	return showOne(a, removed{address, group, waiting}, func(t *table) {
		t.row(fmt.Sprintf("removed group %s of %s; %s lost", group, address, plural(int(waiting), "message")))
	})
}

// forgetOperation removes the registration of an operation, and nothing else.
func (a *app) forgetOperation(ctx context.Context, p *presence.Presence, address string, waiting int64, yes bool) error {
	if waiting > 0 {
		return &failure{err: fmt.Errorf("%s in the queue of the operation %s: start its owner, which takes them", waitWords(waiting), address), try: "parley groups list", exit: exitConflict}
	}
	question := fmt.Sprintf("forget the operation %s; its journal stays where it is, but nobody knows of it until an owner starts again", address)
	if err := a.confirm(question, yes); err != nil {
		return err
	}
	if err := p.Remove(ctx, address, parley.OwnerGroup); err != nil {
		return err
	}
	return showOne(a, removed{Address: address, Group: parley.OwnerGroup}, func(t *table) { t.row("forgot the operation " + address) })
}
