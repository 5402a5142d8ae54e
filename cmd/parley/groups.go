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
		Args:    words(0, 0),
		RunE:    a.on(a.within(lookLimit, func(ctx context.Context, s *session, _ []string) error { return a.listGroups(ctx, s) })),
	}
}

// groupRow is a group as it is shown.
type groupRow struct {
	Address string    `json:"address"`
	Group   string    `json:"group"`
	Since   time.Time `json:"since"`
	Up      int       `json:"up"`
	Waiting *int64    `json:"waiting"`          // null = unknown
	Oldest  time.Time `json:"oldest,omitzero"`  // of those that wait; zero = none, or the broker does not tell
	Problem string    `json:"problem,omitzero"` // why it is unknown
}

func (a *app) listGroups(ctx context.Context, s *session) error {
	list, since, err := s.registered()
	if err != nil {
		return err
	}
	if len(list) == 0 && a.table() {
		a.note("no group subscribes to anything on %s", s.net.Name)
		return nil
	}
	found := backlogs(ctx, s, channelsOf(describe(ctx, s)), list)
	rows := make([]groupRow, len(list))
	for i, r := range list {
		rows[i] = groupRow{Address: r.address, Group: r.group, Since: since[r], Up: up(s, r), Oldest: found[i].oldest}
		if err := found[i].err; err != nil {
			rows[i].Problem = err.Error()
			a.note("warning: %v", err)
			continue
		}
		rows[i].Waiting = &found[i].waiting
	}
	now := time.Now()
	return show(a, rows, rows, func(t *table) {
		t.row("ADDRESS", "GROUP", "UP", "WAITING", "OLDEST", "SINCE")
		for i, r := range rows {
			t.row(r.Address, list[i].name(), r.Up, found[i].count(), found[i].age(now), ago(r.Since, now))
		}
	})
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
		Args:    words(2, 2),
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
	r := receiver{address, group}
	groups, _ := p.Groups(address)
	if !slices.Contains(groups, group) {
		return &failure{err: fmt.Errorf("no group %s of %s", group, address), try: "parley groups list", exit: exitNotFound}
	}
	if n := up(s, r); n > 0 {
		return &failure{err: fmt.Errorf("%s of group %s of %s: stop them first, or they make it anew", plural(n, "running instance"), group, address), try: "parley ps", exit: exitConflict}
	}
	q := backlogOf(ctx, s, channelsOf(describe(ctx, s)), r)
	missing := errors.Is(q.err, transport.ErrNotFound)
	if q.err != nil && (!missing || q.guessed && group != parley.OwnerGroup) {
		return hint(q.err, "parley ps")
	}
	if group == parley.OwnerGroup {
		return a.forgetOperation(ctx, p, address, q.waiting, yes)
	}
	question := fmt.Sprintf("remove group %s of %s; what waits for it would be lost: %s", group, address, q.messages())
	if err := a.confirm(question, yes); err != nil {
		return err
	}
	if err := s.net.Operator.RemoveGroup(ctx, q.channel, group); err != nil && !errors.Is(err, transport.ErrNotFound) {
		return err
	}
	if err := p.Remove(ctx, address, group); err != nil {
		return err
	}
	return showOne(a, removed{address, group, q.waiting}, func(t *table) {
		t.row(fmt.Sprintf("removed group %s of %s; %s lost", group, address, q.messages()))
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
