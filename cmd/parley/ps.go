package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/policy"
	"github.com/parley-io/parley/transport"
)

func newPsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "ps",
		Short: "Show the services that run, and how they are doing",
		Long: `ps shows each service with its running instances: UP how many answer; CALL the answered calls that the ledger still
holds; OP the operations that have ended, as the ledger still holds them; CMD and EVENT the messages handled by the instances
since they started; ERR the failed ones among all attempts; BREAKERS those that its instances hold against others and that are
not closed; BACKLOG the messages, and requests for operations, that wait for it ("parley lag" shows where). What is paused
is listed below, with who paused it and why; then what an embedded broker keeps, and how much it may.`,
		Example: "  parley ps\n  parley ps -o json",
		Args:    words(0, 0),
		RunE:    a.on(a.within(lookLimit, func(ctx context.Context, s *session, _ []string) error { return a.ps(ctx, s) })),
	}
}

// serviceRow is a service as ps shows it.
type serviceRow struct {
	Service   string   `json:"service"`
	Instances []string `json:"instances"`
	Up        int      `json:"up"` // instances that answered
	Answers   []string `json:"answers"`
	Owns      []string `json:"owns"`     // operations
	Receives  []string `json:"receives"` // "address" of a command, "address group" of an event
	Calls     uint64   `json:"calls"`
	Ended     uint64   `json:"operations_ended"`
	Commands  uint64   `json:"commands"`
	Events    uint64   `json:"events"`
	Failed    uint64   `json:"failed"`
	Breakers  int      `json:"breakers_open"`
	Backlog   *int64   `json:"backlog"` // null = unknown, at least in part
	Paused    []paused `json:"paused,omitzero"`

	to []receiver
}

func (a *app) ps(ctx context.Context, s *session) error {
	all := describe(ctx, s)
	a.complain(all)
	stats, err := counted(ctx, s)
	if err != nil {
		a.note("warning: no counts of calls and operations: %v", err)
	}
	rows := serviceRows(all, stats)
	a.addBacklogs(ctx, s, channelsOf(all), rows)
	standings := standingsOf(all)
	for i := range rows {
		for _, to := range rows[i].to {
			if st := standings[to]; st.paused > 0 {
				rows[i].Paused = append(rows[i].Paused, st.of(to))
			}
		}
	}
	if len(rows) == 0 && a.table() {
		a.note("no service runs on %s; start one, it finds this network by itself", s.net.Name)
		return nil
	}
	kept := a.kept(ctx, s)
	err = show(a, rows, rows, func(t *table) {
		t.row("SERVICE", "UP", "CALL", "OP", "CMD", "EVENT", "ERR", "BREAKERS", "BACKLOG")
		for _, r := range rows {
			has := func(n uint64, kind bool) string {
				if !kind {
					return "–"
				}
				return strconv.FormatUint(n, 10)
			}
			commands := slices.ContainsFunc(r.Receives, func(to string) bool { return !strings.Contains(to, " ") })
			events := slices.ContainsFunc(r.Receives, func(to string) bool { return strings.Contains(to, " ") })
			breakers := "–"
			if r.Breakers > 0 {
				breakers = fmt.Sprintf("%d open", r.Breakers)
			}
			backlog := "–"
			if r.Backlog == nil {
				backlog = "unknown"
			} else if len(r.to) > 0 {
				backlog = strconv.FormatInt(*r.Backlog, 10)
			}
			t.row(r.Service, fmt.Sprintf("%d/%d", r.Up, len(r.Instances)), has(r.Calls, len(r.Answers) > 0), has(r.Ended, len(r.Owns) > 0),
				has(r.Commands, commands), has(r.Events, events), errorRate(r), breakers, backlog)
		}
		for _, r := range rows {
			for _, p := range r.Paused {
				t.row("") // ends the columns above
				t.row(fmt.Sprintf("%s: %s is %s", r.Service, receiver{p.Address, p.Group}, p))
			}
		}
		if kept != "" {
			t.row("")
			t.row(kept)
		}
	})
	for _, r := range rows {
		if len(r.Paused) > 0 && a.table() {
			a.note("resume: parley resume %s", strings.TrimSpace(r.Paused[0].Address+" "+r.Paused[0].Group))
			break
		}
	}
	return err
}

// serviceRows adds up the instances of each service.
func serviceRows(all []described, stats collector.Stats) []serviceRow {
	rows := []serviceRow{}
	for _, d := range all { // by service
		if n := len(rows); n == 0 || rows[n-1].Service != d.at.Service {
			rows = append(rows, serviceRow{Service: d.at.Service, Answers: []string{}, Owns: []string{}, Receives: []string{}})
		}
		r := &rows[len(rows)-1]
		r.Instances = append(r.Instances, d.at.ID)
		if d.err == nil {
			r.Up++
		}
		for _, to := range receiversOf(nil, []described{d}, nil) {
			if !slices.Contains(r.to, to) {
				r.to = append(r.to, to)
			}
		}
		r.Owns = union(r.Owns, d.at.Operations)
		for _, address := range d.at.Answers {
			if !slices.Contains(d.at.Operations, address) {
				r.Answers = union(r.Answers, []string{address})
			}
		}
		for _, to := range d.at.Receives {
			r.Receives = union(r.Receives, []string{strings.TrimSpace(to.Address + " " + to.Group)})
		}
		for _, sub := range d.is.Subscriptions {
			if sub.Receiver == sub.Address {
				r.Commands += uint64(sub.Handled)
			} else {
				r.Events += uint64(sub.Handled)
			}
			r.Failed += uint64(sub.Failed)
		}
		for _, b := range d.is.Breakers {
			if b.State != policy.Closed {
				r.Breakers++
			}
		}
	}
	for i := range rows {
		for _, c := range stats.Addresses {
			if slices.Contains(rows[i].Answers, c.Address) {
				rows[i].Calls += c.Answered
				rows[i].Failed += c.Refused
			}
			if c.Style == ledger.StyleOperation && slices.Contains(rows[i].Owns, c.Address) {
				rows[i].Ended += c.Done + c.Ended
				rows[i].Failed += c.Ended
			}
		}
	}
	return rows
}

// union adds what is new to a sorted list.
func union(list, more []string) []string {
	list = append(list, more...)
	slices.Sort(list)
	return slices.Compact(list)
}

func errorRate(r serviceRow) string {
	handled := r.Calls + r.Ended + r.Commands + r.Events
	if handled+r.Failed == 0 {
		return "–"
	}
	// A call that failed was answered too, and an operation has ended; a failed attempt of a message was not handled.
	return fmt.Sprintf("%.1f%%", 100*float64(r.Failed)/float64(max(handled, r.Failed)))
}

// addBacklogs adds up what waits for each service.
func (a *app) addBacklogs(ctx context.Context, s *session, channels map[string]transport.Channel, rows []serviceRow) {
	var list []receiver
	for _, r := range rows {
		list = append(list, r.to...)
	}
	found := backlogs(ctx, s, channels, list)
	for i := range rows {
		rows[i].Backlog = new(int64)
		for range rows[i].to {
			switch q := found[0]; {
			case q.err != nil:
				a.note("warning: what waits for %s is unknown: %v", list[0], q.err)
				rows[i].Backlog = nil
			case rows[i].Backlog != nil:
				*rows[i].Backlog += q.waiting
			}
			list, found = list[1:], found[1:]
		}
	}
}
