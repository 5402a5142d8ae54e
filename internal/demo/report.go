package demo

import (
	"fmt"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/outside"
)

// Report is what the demo counts. It is JSON as it is.
type Report struct {
	Calls      Calls      `json:"calls"`
	Operations Operations `json:"operations"`
	Commands   Commands   `json:"commands"`
	Events     Events     `json:"events"`
	Breaker    Breaker    `json:"breaker"`
	// FirstMessageMS is how long it took from the beginning until the first message was handled.
	FirstMessageMS int64 `json:"first_message_ms"`
	// Lost are messages that were confirmed and not handled, one for each receiver, and operations that have not ended.
	Lost int `json:"lost"`

	cut    bool     // the story ended early, because it was told to
	queued int      // operations that were asked for while their owner was away
	wrong  []string // what is wrong with operations, in words
}

// Calls are those of customers and between services, by how they ended.
type Calls struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
}

// Operations are the shop's orders and the bank's loans, by how they ended.
type Operations struct {
	Started int `json:"started"`
	Done    int `json:"done"`
	Failed  int `json:"failed"`
	// FailedForBusiness are the failed ones whose request was to fail in exactly this way.
	FailedForBusiness int `json:"failed_for_business"`
}

// Commands are distinct ones. Sent and handled are what the outside logs say.
type Commands struct {
	Sent         int `json:"sent"`
	Handled      int `json:"handled"`
	DeadLettered int `json:"dead_lettered"`
	Redriven     int `json:"redriven"`
}

// Events are distinct ones as published, and one for each receiver as expected and handled, by the outside logs.
type Events struct {
	Published int `json:"published"`
	Expected  int `json:"expected"`
	Handled   int `json:"handled"`
}

// Breaker is how often the one from billing to the card processor changed.
type Breaker struct {
	Opened int `json:"opened"`
	Closed int `json:"closed"`
}

// shown bounds what is told one by one.
const shown = 10

// count is a report of what the outside logs say.
func count(o *Outside) (r Report) {
	for call, n := range o.Called {
		if call.Outcome == outside.OK {
			r.Calls.OK += n
		} else {
			r.Calls.Failed += n
		}
	}
	for _, c := range o.Confirmed {
		if c.Style == parley.StyleCommand {
			r.Commands.Sent++
		} else {
			r.Events.Published++
		}
		for _, group := range o.Receivers(c) {
			handled := min(o.Handled[outside.Receipt{ID: c.ID, Group: group}], 1)
			if c.Style == parley.StyleCommand {
				r.Commands.Handled += handled
			} else {
				r.Events.Expected++
				r.Events.Handled += handled
			}
		}
	}
	r.Lost = len(o.Lost())
	for _, x := range o.Begun() {
		r.Operations.Started++
		switch {
		case len(x.Ended) == 0:
			r.Lost++
		case x.Ended[0] == outside.OK:
			r.Operations.Done++
		default:
			r.Operations.Failed++
			if x.Ended[0] == x.Expected {
				r.Operations.FailedForBusiness++
			}
		}
	}
	r.wrong = o.Problems()
	return r
}

// Broken are the conditions of a good story that r does not meet, in words: nothing lost, everything handled, every
// operation ended as its request implies, and, unless it was told to end early, traffic of each style, operations that were asked for in
// their owner's absence, a breaker that opened and closed, and dead letters that were all redriven.
func (r Report) Broken() (broken []string) {
	check := func(ok bool, format string, args ...any) {
		if !ok {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	check(r.Lost == 0, "lost = %d, want 0: confirmed messages that a receiver has not handled, and operations that have not ended", r.Lost)
	check(r.Operations.Done+r.Operations.Failed == r.Operations.Started, "operations: %d done and %d failed, want all %d that were started",
		r.Operations.Done, r.Operations.Failed, r.Operations.Started)
	check(r.Operations.FailedForBusiness == r.Operations.Failed, "operations: %d failed for a reason of the business, want all %d that failed",
		r.Operations.FailedForBusiness, r.Operations.Failed)
	for _, problem := range r.wrong[:min(len(r.wrong), shown)] {
		check(false, "%s", problem)
	}
	check(len(r.wrong) <= shown, "%d more problems of operations", len(r.wrong)-shown)
	check(r.Commands.Handled == r.Commands.Sent, "commands: %d handled, want all %d that were sent", r.Commands.Handled, r.Commands.Sent)
	check(r.Events.Handled == r.Events.Expected, "events: %d handled, want all %d that are expected", r.Events.Handled, r.Events.Expected)
	check(r.Commands.DeadLettered == r.Commands.Redriven, "dead letters: %d redriven, want all %d", r.Commands.Redriven, r.Commands.DeadLettered)
	if r.cut {
		return broken
	}
	check(r.Operations.Done > 0, "no operation was done, want traffic of each style")
	check(r.queued > 0, "no operation was asked for while its owner was away, want some")
	check(r.Calls.OK > 0, "no call succeeded, want traffic of each style")
	check(r.Commands.Sent > 0, "no command was sent, want traffic of each style")
	check(r.Events.Expected > 0, "no event was expected anywhere, want traffic of each style")
	check(r.Commands.DeadLettered > 0, "no message became a dead letter, want some")
	check(r.Breaker.Opened > 0, "no breaker opened, want one to")
	check(r.Breaker.Closed > 0, "no breaker closed again, want one to")
	return broken
}
