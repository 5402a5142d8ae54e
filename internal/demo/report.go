package demo

import (
	"fmt"

	"github.com/parley-io/parley"
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
	// Lost are messages that were confirmed and not handled, one for each receiver.
	Lost int `json:"lost"`

	cut bool // the story ended early, because it was told to
}

// Calls are those of customers and between services, by how they ended.
type Calls struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
}

// Operations are none yet.
type Operations struct {
	Started int `json:"started"`
	Done    int `json:"done"`
	Failed  int `json:"failed"`
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

// count is a report of what the outside logs say.
func count(o *Outside) (r Report) {
	for outcome, n := range o.Called {
		if outcome == "ok" {
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
			handled := min(o.Handled[Handled{c.ID, group}], 1)
			if c.Style == parley.StyleCommand {
				r.Commands.Handled += handled
			} else {
				r.Events.Expected++
				r.Events.Handled += handled
			}
		}
	}
	r.Lost = len(o.Lost())
	return r
}

// Broken are the conditions of a good story that r does not meet, in words: nothing lost, everything handled, and, unless
// it was told to end early, traffic of each style, a breaker that opened and closed, and dead letters that were all redriven.
func (r Report) Broken() (broken []string) {
	check := func(ok bool, format string, args ...any) {
		if !ok {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	check(r.Lost == 0, "lost = %d, want 0: confirmed messages that a receiver has not handled", r.Lost)
	check(r.Commands.Handled == r.Commands.Sent, "commands: %d handled, want all %d that were sent", r.Commands.Handled, r.Commands.Sent)
	check(r.Events.Handled == r.Events.Expected, "events: %d handled, want all %d that are expected", r.Events.Handled, r.Events.Expected)
	check(r.Commands.DeadLettered == r.Commands.Redriven, "dead letters: %d redriven, want all %d", r.Commands.Redriven, r.Commands.DeadLettered)
	if r.cut {
		return broken
	}
	check(r.Calls.OK > 0, "no call succeeded, want traffic of each style")
	check(r.Commands.Sent > 0, "no command was sent, want traffic of each style")
	check(r.Events.Expected > 0, "no event was expected anywhere, want traffic of each style")
	check(r.Commands.DeadLettered > 0, "no message became a dead letter, want some")
	check(r.Breaker.Opened > 0, "no breaker opened, want one to")
	check(r.Breaker.Closed > 0, "no breaker closed again, want one to")
	return broken
}
