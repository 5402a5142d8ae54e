package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
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
not closed; BACKLOG the messages, and requests for operations, that wait for it.`,
		Example: "  parley ps\n  parley ps -o json",
		Args:    cobra.NoArgs,
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
	Backlog   int64    `json:"backlog"`
}

func (a *app) ps(ctx context.Context, s *session) error {
	all := describe(ctx, s)
	a.complain(all)
	stats, err := collected(ctx, s, func(peer string) (collector.Stats, error) { return collector.GetStats(ctx, s.net.Calls, peer) })
	if err != nil {
		a.note("warning: no counts of calls: %v", err)
	}
	rows := serviceRows(all, stats)
	channels := channelsOf(all)
	for i := range rows {
		rows[i].Backlog = a.backlog(ctx, s, channels, slices.Concat(rows[i].Receives, rows[i].Owns))
	}
	if len(rows) == 0 && a.table() {
		a.note("no service runs on %s; start one, it finds this network by itself", s.net.Name)
		return nil
	}
	return show(a, rows, rows, func(t *table) {
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
			t.row(r.Service, fmt.Sprintf("%d/%d", r.Up, len(r.Instances)), has(r.Calls, len(r.Answers) > 0), has(r.Ended, len(r.Owns) > 0),
				has(r.Commands, commands), has(r.Events, events), errorRate(r), breakers,
				has(uint64(max(r.Backlog, 0)), commands || events || len(r.Owns) > 0))
		}
	})
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

// channelsOf are the channels that running instances announced, by address.
func channelsOf(all []described) map[string]transport.Channel {
	channels := make(map[string]transport.Channel)
	for _, d := range all {
		for _, c := range d.is.Contracts {
			if c.Style != parley.StyleCall {
				channels[c.Address] = channelOf(c)
			}
		}
	}
	return channels
}

func channelOf(d parley.ContractDescription) transport.Channel {
	c := transport.Channel{
		Address: d.Address, Partitions: d.Partitions,
		Retain: time.Duration(d.RetainMS) * time.Millisecond, RetainBytes: d.RetainSize,
	}
	for _, p := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		if p.String() == d.Pattern {
			c.Pattern = p
		}
	}
	return c
}

// backlog is what waits for all of these receivers.
func (a *app) backlog(ctx context.Context, s *session, channels map[string]transport.Channel, receivers []string) (total int64) {
	for _, to := range receivers {
		address, group, _ := strings.Cut(to, " ")
		c, ok := channels[address]
		if !ok {
			continue
		}
		waiting, _, err := s.net.Operator.Backlog(ctx, c, group)
		if err != nil {
			a.note("warning: backlog of %s: %v", to, err)
			continue
		}
		total += waiting
	}
	return total
}
