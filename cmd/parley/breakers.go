package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/policy"
)

func newBreakersCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "breakers",
		Short:   "Show the circuit breakers that running services hold against each other",
		Example: "  parley breakers\n  parley breakers -o json",
		Args:    words(0, 0),
		RunE:    a.on(a.within(lookLimit, func(ctx context.Context, s *session, _ []string) error { return a.breakers(ctx, s) })),
	}
}

// breakerRow is a breaker with who holds it.
type breakerRow struct {
	Caller   string `json:"caller"`
	Instance string `json:"instance"`
	policy.BreakerStatus
}

func (a *app) breakers(ctx context.Context, s *session) error {
	all := describe(ctx, s)
	a.complain(all)
	rows := []breakerRow{}
	for _, d := range all {
		for _, b := range d.is.Breakers {
			rows = append(rows, breakerRow{d.at.Service, d.at.ID, b})
		}
	}
	if len(rows) == 0 && a.table() {
		a.note("no breakers: no running service has called another one")
		return nil
	}
	now := time.Now()
	return show(a, rows, rows, func(t *table) {
		t.row("CALLER", "CALLEE", "STATE", "SINCE", "PROBES", "FAILED", "OPENED", "CLOSED", "PEER")
		for _, r := range rows {
			probes := "–"
			if !r.Until.IsZero() {
				probes = "in " + short(r.Until.Sub(now))
			}
			failed := "–"
			if r.Requests > 0 {
				failed = fraction(r.Failures, r.Requests)
			}
			t.row(r.Caller, r.Service, r.State, ago(r.Since, now), probes, failed, r.Opened, r.Closed, r.Peer)
		}
	})
}
