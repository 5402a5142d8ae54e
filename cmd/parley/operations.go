package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/node"
	"github.com/parley-io/parley/operation"
)

func newOperationsCommand(a *app) *cobra.Command {
	list := newOperationsListCommand(a)
	c := group("operations", "Show operations, and set those going again that stand", list, newOperationsShowCommand(a), newOperationsRetryCommand(a))
	c.Long = "operations alone is the same as operations list."
	c.RunE = list.RunE
	return c
}

// listing is what operations list is asked for.
type listing struct {
	address string
	status  string
	limit   int
}

func newOperationsListCommand(a *app) *cobra.Command {
	l := listing{limit: 100}
	c := &cobra.Command{
		Use:   "list",
		Short: "Show the operations of the owners that run, the newest first",
		Long: `list asks every owner that runs for its operations. Those of an owner that is away are in its journal and cannot be
shown; list says which owners that are, and how many requests wait in their queues.`,
		Example: "  parley operations list\n  parley operations list --status Parked\n  parley operations list --address loans.v1.decide --status open --limit 20 -o json",
		Args:    words(0, 0),
	}
	c.Flags().StringVar(&l.address, "address", "", "only of this `ADDRESS`")
	c.Flags().StringVar(&l.status, "status", "", "only of this `STATUS`: open (all that have not ended), NotStarted, Running, Canceling, Compensating, Parked, Succeeded, Failed, Canceled; several with commas between")
	c.Flags().IntVar(&l.limit, "limit", l.limit, "how many at the most, 1 to 1000")
	c.RunE = func(c *cobra.Command, args []string) error {
		if l.limit < 1 || l.limit > 1000 {
			return usage(fmt.Errorf("--limit %d: want 1 to 1000", l.limit))
		}
		return a.on(a.within(lookLimit, func(ctx context.Context, s *session, _ []string) error { return a.listOperations(ctx, s, l) }))(c, args)
	}
	return c
}

func (a *app) listOperations(ctx context.Context, s *session, l listing) error {
	var statuses []string
	if l.status != "" {
		statuses = append(statuses, l.status)
	}
	rows, err := parley.Operations(ctx, s.client, l.address, l.limit, statuses...)
	switch {
	case parley.CodeOf(err) == parley.InvalidArgument:
		return &failure{err: err, exit: exitUsage, try: "parley operations list --help"}
	case err != nil && len(rows) == 0:
		return err
	case err != nil:
		a.note("warning: %v", err)
	}
	if err := a.tellAway(ctx, s, l.address); err != nil {
		return err
	}
	if rows == nil {
		rows = []parley.OperationStatus{}
	}
	if len(rows) > l.limit {
		rows = rows[:l.limit]
	}
	if len(rows) == 0 && a.table() {
		a.note("no operations")
		return nil
	}
	now := time.Now()
	err = show(a, rows, rows, func(t *table) {
		t.row("ID", "ADDRESS", "STATUS", "STARTED", "CHANGED", "WHY")
		for _, r := range rows {
			t.row(r.ID, r.Name, r.Status, ago(r.Created, now), ago(r.Updated, now), whyOf(r))
		}
	})
	if a.table() && err == nil {
		a.afterList(rows, l.limit)
	}
	return err
}

// afterList says what may be done next.
func (a *app) afterList(rows []parley.OperationStatus, limit int) {
	if len(rows) == limit {
		a.note("there may be more: --limit, --status, --address")
	}
	a.note("look closer: parley operations show %s", rows[0].ID)
	for _, r := range rows {
		if r.Status == operation.Parked {
			a.note("when it is mended: parley operations retry %s", r.ID)
			return
		}
	}
}

// tellAway says whose operations cannot be shown.
func (a *app) tellAway(ctx context.Context, s *session, address string) error {
	away, err := node.AwayOwners(ctx, s.net)
	if err != nil {
		a.note("warning: %v", err)
	}
	for _, o := range away {
		if address == "" || o.Address == address {
			a.note("warning: the owner of %s is away, and what it has cannot be shown; %s in its queue", o.Address, waitWords(o.Waiting))
		}
	}
	return nil
}

func waitWords(n int64) string {
	if n == 1 {
		return "1 request waits"
	}
	return fmt.Sprintf("%d requests wait", n)
}

// whyOf is why an operation is where it is, where that is not as it should be.
func whyOf(s parley.OperationStatus) string {
	switch {
	case s.Status == operation.Parked:
		return clip(s.Metadata.Parked, 160)
	case s.Status == operation.Canceling || s.Status == operation.Canceled:
		return clip(s.Metadata.Reason, 160)
	case s.Error != nil:
		return clip(or(s.Error.Detail, s.Error.Title), 160)
	}
	return ""
}

func newOperationsShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show an operation with its steps, what is left, and its result",
		Example: "  parley operations show loan-17\n  parley operations show loan-17 -o json",
		Args:    words(1, 1),
		RunE: a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			remote, err := locate(ctx, s, args[0])
			if err != nil {
				return err
			}
			status, err := node.Status(ctx, s.client, remote.Execution(parley.MessageID(args[0])), 0)
			if err != nil {
				return hint(err, "parley follow %s", args[0])
			}
			return a.showOperation(status)
		})),
	}
}

func (a *app) showOperation(s parley.OperationStatus) error {
	p := newProgress(a)
	err := showOne(a, s, func(t *table) {
		for _, l := range drawOperation(sighting{status: s, away: s.Revision == 0}, time.Now(), p.looks) {
			t.row(l.text)
		}
	})
	if err != nil || !a.table() {
		return err
	}
	switch {
	case s.Status == operation.Parked:
		a.note("when it is mended: parley operations retry %s", s.ID)
	case !s.Done:
		a.note("wait: parley wait %s", s.ID)
	case len(s.Result) > 0:
		return a.printJSON(s.Result, jsontext.WithIndent("  "))
	}
	return nil
}

func newOperationsRetryCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "retry ID",
		Short: "Set a parked operation going again",
		Long: `retry sets an operation going again that stands because its code did not fit its journal, or because somebody has to
help: after what parked it was mended. Its owner has to run.`,
		Example: "  parley operations retry loan-17\n  parley operations retry loan-17 -o json",
		Args:    words(1, 1),
		RunE: a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			return a.tellOperation(ctx, s, args[0], func(_ *parley.Remote, x execution) error { return x.Retry(ctx, s.client) })
		})),
	}
}
