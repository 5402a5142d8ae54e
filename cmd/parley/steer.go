package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
)

func newPauseCommand(a *app) *cobra.Command {
	var reason, instance string
	c := &cobra.Command{
		Use:   "pause ADDRESS [GROUP]",
		Short: "Let running instances take no more messages of an address",
		Long: `pause lets the instances that run now take no more messages of a command, or of an event for a group, until
"parley resume": handlers that run go on, and messages wait at the broker, in their order. GROUP may be left out where there is
only one. "parley ps" shows what is paused, by whom and why.

A pause is the instance's own: it ends with it, and one that starts later is not paused.`,
		Example: "  parley pause billing.v1.charge --reason 'the card processor is down'\n  parley pause storefront.v1.order-placed mail -o json",
		Args:    words(1, 2),
		RunE: a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			by := or(os.Getenv("USER"), source)
			return a.steer(ctx, s, args, instance, parley.Steering{Do: parley.SteerPause, Reason: strings.TrimSpace(reason + " (" + by + ")")})
		})),
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at it")
	c.Flags().StringVar(&instance, "instance", "", "only the instance of this `ID`")
	return c
}

func newResumeCommand(a *app) *cobra.Command {
	var instance string
	c := &cobra.Command{
		Use:   "resume ADDRESS [GROUP]",
		Short: "Let paused instances take messages again",
		Long: `resume ends a pause of the instances that run, of "parley pause" as well as of the kill switch, which pauses what
keeps failing because something that it needs is down. What is not paused stays as it is.`,
		Example: "  parley resume billing.v1.charge\n  parley resume storefront.v1.order-placed mail -o json",
		Args:    words(1, 2),
		RunE: a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			return a.steer(ctx, s, args, instance, parley.Steering{Do: parley.SteerResume})
		})),
	}
	c.Flags().StringVar(&instance, "instance", "", "only the instance of this `ID`")
	return c
}

func newConcurrencyCommand(a *app) *cobra.Command {
	var instance string
	c := &cobra.Command{
		Use:   "concurrency N ADDRESS [GROUP]",
		Short: "Change how many handlers of an address run at once in each instance",
		Long: `concurrency changes how many messages of a command, or of an event for a group, each instance that runs now handles at
once, and how many it takes from the broker ahead of that. Nothing is disconnected. It lasts until the instance ends.`,
		Example: "  parley concurrency 64 billing.v1.charge\n  parley concurrency 1 storefront.v1.order-placed mail -o json",
		Args:    words(2, 3),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 {
			return usage(fmt.Errorf("%q: want how many handlers run at once, from 1", args[0]))
		}
		return a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			return a.steer(ctx, s, args[1:], instance, parley.Steering{Do: parley.SteerConcurrency, Concurrency: n})
		}))(c, args)
	}
	c.Flags().StringVar(&instance, "instance", "", "only the instance of this `ID`")
	return c
}

// steered is an instance after it was told how to receive.
type steered struct {
	Service     string `json:"service"`
	Instance    string `json:"instance"`
	Address     string `json:"address"`
	Group       string `json:"group,omitzero"` // "" = a command
	Paused      bool   `json:"paused"`
	Because     string `json:"because,omitzero"`
	Concurrency int    `json:"concurrency"`
	InFlight    int64  `json:"in_flight"`
	Problem     string `json:"problem,omitzero"` // it did not do it, or did not say so
}

// steer tells the instances that receive for an address, of a group, how to.
func (a *app) steer(ctx context.Context, s *session, args []string, only string, what parley.Steering) error {
	to, err := receiving(s, args)
	if err != nil {
		return err
	}
	what.Address, what.Group = to.address, to.group
	rows, errs := []steered{}, []error{}
	for _, i := range s.net.Directory.Instances() {
		if only != "" && i.ID != only || !slices.Contains(i.Receives, parley.Reception{Address: to.address, Group: to.group}) {
			continue
		}
		is, err := parley.SteerInstance(ctx, s.client, i, what)
		row := steered{
			Service: i.Service, Instance: i.ID, Address: to.address, Group: to.group,
			Paused: is.Paused, Because: is.Because, Concurrency: is.Concurrency, InFlight: is.InFlight,
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", i.Service, i.ID, err)
			row.Problem = err.Error()
			errs = append(errs, err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return &failure{exit: exitNotFound, try: "parley ps -o json", err: fmt.Errorf("no instance %s receives for %s", only, to)}
	}
	err = show(a, rows, rows, func(t *table) {
		for _, r := range rows {
			t.row(r.Service, r.Instance, r.state(), fmt.Sprintf("%d at once", r.Concurrency), fmt.Sprintf("%d in hand", r.InFlight))
		}
	})
	if a.table() && what.Do == parley.SteerPause && len(errs) < len(rows) {
		a.note("go on: parley resume %s", strings.TrimSpace(to.address+" "+to.group))
	}
	return errors.Join(append(errs, err)...)
}

func (r steered) state() string {
	switch {
	case r.Problem != "":
		return "not told"
	case r.Paused:
		return "paused: " + r.Because
	}
	return "receives"
}

// receiving is the receiver that the arguments name: an address, and a group unless it has only one.
func receiving(s *session, args []string) (r receiver, err error) {
	r.address = args[0]
	var groups []string
	for _, i := range s.net.Directory.Instances() {
		for _, to := range i.Receives {
			if to.Address == r.address && !slices.Contains(groups, to.Group) {
				groups = append(groups, to.Group)
			}
		}
	}
	slices.Sort(groups)
	if len(args) == 2 {
		r.group = args[1]
		if !slices.Contains(groups, r.group) {
			return r, &failure{exit: exitNotFound, try: "parley lag " + r.address, err: fmt.Errorf("no running instance receives for %s", r)}
		}
		return r, nil
	}
	switch len(groups) {
	case 0:
		return r, &failure{exit: exitNotFound, try: "parley ps", err: fmt.Errorf("no running instance receives %s", r.address)}
	case 1:
		r.group = groups[0]
		return r, nil
	}
	return r, &failure{exit: exitUsage, try: "parley lag " + r.address, err: fmt.Errorf("%s is received by the groups %s: name one", r.address, strings.Join(groups, ", "))}
}
