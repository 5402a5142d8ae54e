package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport/fault"
)

func newFaultCommand(a *app) *cobra.Command {
	return group("fault", "Let things fail on purpose, on the network of parley dev or parley demo",
		newFaultAddCommand(a), newFaultListCommand(a), newFaultRmCommand(a))
}

// faultRow is a fault as it is shown.
type faultRow struct {
	ID    string     `json:"id"`
	Rule  fault.Rule `json:"rule"`
	Since time.Time  `json:"since"`
	Until time.Time  `json:"until,omitzero"` // zero = until it is removed
}

func newFaultAddCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "add RULE",
		Short: "Add a fault, in every process of the network",
		Long: `add takes one rule, in quotes or as words:

  VERB [SHARE%] TARGET [ADDRESS] [at SERVICE] [with CODE ["text"]] [for DURATION] [seed N]

  fail     call, answer, send, handle        delay D  call, answer, send
  lose     call, answer, send                double   call, send
  reorder  send                              cut      call, send, receive, broker

ADDRESS may end in ".*"; without one every address is meant. A fault ends when its time is over, when it is removed,
or with the network.`,
		Example: `  parley fault add 'fail answer cards.v1.authorize with unavailable "card processor 503" for 20s'
  parley fault add delay 200ms 50% call 'stock.*'
  parley fault add fail handle billing.v1.charge -o json`,
		Args: words(1, -1),
		RunE: func(c *cobra.Command, args []string) error {
			rules, err := fault.Parse(strings.Join(args, " "))
			if err == nil && len(rules) != 1 {
				err = fmt.Errorf("got %d rules, want one", len(rules))
			}
			if err != nil {
				return &failure{err: fmt.Errorf("fault rule: %w", err), try: "parley fault add --help", exit: exitUsage}
			}
			return a.on(a.within(lookLimit, func(ctx context.Context, s *session, _ []string) error { return a.addFault(ctx, s, rules[0]) }))(c, args)
		},
	}
}

func (a *app) addFault(ctx context.Context, s *session, rule fault.Rule) error {
	set, err := faults(s)
	if err != nil {
		return err
	}
	rules := rulesOf(set)
	if !slices.ContainsFunc(rules, func(r fault.Rule) bool { return r.ID() == rule.ID() }) {
		rules = append(rules, rule)
	}
	if err := network.SetFaults(ctx, s.net, rules); err != nil {
		return err
	}
	row := faultRowOf(network.Fault{Rule: rule, Since: time.Now()})
	if err := showOne(a, row, func(t *table) { t.row(row.ID) }); err != nil {
		return err
	}
	if a.table() {
		a.note("remove it: parley fault rm %s", row.ID)
	}
	return nil
}

func newFaultListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the faults that are set", Args: words(0, 0),
		Example: "  parley fault list\n  parley fault list -o json",
		RunE:    a.on(a.within(lookLimit, func(_ context.Context, s *session, _ []string) error { return a.listFaults(s) })),
	}
}

func (a *app) listFaults(s *session) error {
	set, err := faults(s)
	if err != nil {
		return err
	}
	rows := []faultRow{}
	for _, f := range set {
		rows = append(rows, faultRowOf(f))
	}
	if len(rows) == 0 && a.table() {
		a.note("no faults are set")
		return nil
	}
	now := time.Now()
	return show(a, rows, rows, func(t *table) {
		t.row("ID", "SINCE", "LEFT", "RULE")
		for _, r := range rows {
			left := "–"
			if !r.Until.IsZero() {
				left = short(r.Until.Sub(now))
			}
			t.row(r.ID, ago(r.Since, now), left, r.Rule)
		}
	})
}

func newFaultRmCommand(a *app) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "rm ID…|--all", Short: "Remove faults",
		Example: "  parley fault rm f3a9c21\n  parley fault rm --all -o json",
	}
	c.Flags().BoolVar(&all, "all", false, "remove every fault")
	c.RunE = func(c *cobra.Command, args []string) error {
		if all == (len(args) > 0) {
			return usage(errors.New("want ids of faults, or --all"))
		}
		return a.on(a.within(lookLimit, func(ctx context.Context, s *session, ids []string) error { return a.removeFaults(ctx, s, ids) }))(c, args)
	}
	return c
}

// removeFaults removes the faults with these ids; none = all.
func (a *app) removeFaults(ctx context.Context, s *session, ids []string) error {
	set, err := faults(s)
	if err != nil {
		return err
	}
	gone, left := []faultRow{}, []fault.Rule{}
	for _, f := range set {
		if id := f.Rule.ID(); len(ids) == 0 || slices.Contains(ids, id) {
			gone = append(gone, faultRowOf(f))
		} else {
			left = append(left, f.Rule)
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(gone, func(r faultRow) bool { return r.ID == id }) {
			return &failure{err: fmt.Errorf("no fault %s is set; none was removed", id), try: "parley fault list", exit: exitNotFound}
		}
	}
	if err := network.SetFaults(ctx, s.net, left); err != nil {
		return err
	}
	return show(a, gone, gone, func(t *table) {
		for _, r := range gone {
			t.row("removed", r.ID, r.Rule)
		}
		if len(gone) == 0 {
			t.row("no faults were set")
		}
	})
}

// faults are those that are set; a network without any possible is an error that says where they are.
func faults(s *session) ([]network.Fault, error) {
	set, err := network.Faults(s.net)
	if err != nil {
		return nil, &failure{err: err, try: "parley dev", exit: exitUsage}
	}
	return set, nil
}

func rulesOf(set []network.Fault) (rules []fault.Rule) {
	for _, f := range set {
		rules = append(rules, f.Rule)
	}
	return rules
}

func faultRowOf(f network.Fault) faultRow {
	r := faultRow{ID: f.Rule.ID(), Rule: f.Rule, Since: f.Since}
	if f.Rule.For > 0 {
		r.Until = f.Since.Add(f.Rule.For)
	}
	return r
}
