package deliverytest

import (
	"context"
	"testing"

	"github.com/parley-io/parley/transport/transporttest"
)

// Promises are what delivery on top of a broker keeps.
func Promises() transporttest.Suite[transporttest.Site] {
	rule := func(number int, name, promise, reason string) transporttest.Rule {
		return transporttest.Rule{Number: number, Name: name, Promise: promise, Reason: reason}
	}
	return transporttest.Suite[transporttest.Site]{
		{Rule: rule(16, "a panic is a failed attempt",
			"A handler that panics or ends its goroutine has failed one attempt; its worker goes on with other messages and the message is tried again.",
			"A worker that dies with its handler stops the queue, silently, after as many bad messages as there are workers."),
			Try: panics},
		{Rule: rule(17, "poison ends as a dead letter",
			"A message that always fails is tried exactly as often as its schedule says, then kept as a dead letter with its id, headers, body, reason, attempts and times; the others go on.",
			"Brokers count redeliveries in different ways or not at all, and some drop at their limit."),
			Try: poison},
		{Rule: rule(19, "redrive",
			"A dead letter that is redriven arrives again with the same id and the next Copy, attempts counted anew, also inside the broker's dedupe window and after a second failure.",
			"A redrive under the old identity is swallowed by the broker, and under a new id nobody can follow it."),
			Try: redrive},
		{Rule: rule(20, "retries keep their schedule",
			"Delayed attempts come when they are due, within a fifth or a second, also when consumer and broker are restarted meanwhile, and attempts go on where they were.",
			"Schedules that live in a process die with it: the message comes at once, never, or begins anew."),
			Try: schedule},
		{Rule: rule(23, "what cannot be understood is set aside",
			"A message whose handler calls it permanently wrong is tried once and becomes a dead letter, byte for byte.",
			"An unknown type that is returned to the broker comes back for ever and takes the queue with it."),
			Try: permanent},
		{Rule: rule(28, "a retry reaches the failing group alone",
			"When some groups of a topic fail a message, each of them gets its own retries and redrives; a group that succeeded sees it once.",
			"A retry that reaches the groups that had succeeded runs their effects again."),
			Try: groupsAlone},
		{Rule: rule(44, "trace context survives failure",
			"traceparent, tracestate, baggage, correlation and causation are the same in each attempt, in the dead letter and after a redrive.",
			"A trace that breaks at the first retry breaks when it is needed."),
			Try: trace},
	}
}

// Check tries all promises by the wall clock and explains each broken one.
func Check(ctx context.Context, target transporttest.Target[transporttest.Site], o transporttest.Options) error {
	return transporttest.Errors(Promises().Results(ctx, target, o))
}

// Run tries all promises as subtests.
func Run(t *testing.T, target transporttest.Target[transporttest.Site], o transporttest.Options) []transporttest.Result {
	t.Helper()
	return Promises().Run(t, target, o)
}
