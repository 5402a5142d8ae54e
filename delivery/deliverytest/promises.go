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
		{Rule: rule(18, "a dead letter that can't be stored",
			"While the dead-letter stream cannot be written, a message that has failed is neither lost nor tried again and again, and messages of other keys go on; then it becomes a dead letter.",
			"A consumer that settles first loses the message; one that returns it spins, as the broker delivers it again at once."),
			Waits: true, Try: graveyardShut},
		{Rule: rule(19, "redrive",
			"A dead letter that is redriven arrives again with the same id and the next Copy, attempts counted anew, also inside the broker's dedupe window and after a second failure.",
			"A redrive under the old identity is swallowed by the broker, and under a new id nobody can follow it."),
			Try: redrive},
		{Rule: rule(20, "retries keep their schedule",
			"Delayed attempts come when they are due, within a fifth or two seconds, also when consumer and broker are restarted meanwhile, and attempts go on where they were.",
			"Schedules that live in a process die with it: the message comes at once, never, or begins anew."),
			Try: schedule},
		{Rule: rule(21, "a scheduled message keeps its time",
			"A message with NotBefore comes when it is due and not before, also when the broker is killed meanwhile; one for in three days waits.",
			"Timers that live in a process, or brokers whose delays end at some maximum, lose such messages or deliver them at once."),
			Try: delayedSend},
		{Rule: rule(23, "what cannot be understood is set aside",
			"A message whose handler calls it permanently wrong is tried once and becomes a dead letter, byte for byte.",
			"An unknown type that is returned to the broker comes back for ever and takes the queue with it."),
			Try: permanent},
		{Rule: rule(25, "what has expired is not handled",
			"A message whose lifetime is over is not handled but counted as expired, also behind others of its key; a delayed message lives from its time on.",
			"Offers and prices that are handled hours late do harm, and messages that a broker drops silently are missed by nobody."),
			Waits: true, Try: expired},
		{Rule: rule(26, "a dead letter stops its key",
			"With StopKey, what comes behind a dead letter of its key follows it, also at another instance; redriven, all are handled in their order, with what came meanwhile, and then the key goes on. Other keys are not touched.",
			"A payment that is handled although the booking before it failed can't be undone, and a stop that one process remembers ends with that process."),
			Try: stoppedKey},
		{Rule: rule(28, "a retry reaches the failing group alone",
			"When some groups of a topic fail a message, each of them gets its own retries and redrives; a group that succeeded sees it once.",
			"A retry that reaches the groups that had succeeded runs their effects again."),
			Try: groupsAlone},
		{Rule: rule(32, "a slow group is not flooded, and stalls no other",
			"A group whose handlers are stuck has no more in flight than its window, however much waits, while another group of the same connection gets everything.",
			"Clients that read ahead without a bound run out of memory, and those that stop reading the connection stop everybody on it."),
			Try: backPressure},
		{Rule: rule(34, "pause, resume, another concurrency",
			"A consumer that is paused begins nothing until it is resumed, and its concurrency can be raised and lowered while it runs; nothing is lost or handled twice, nothing reconnects.",
			"Where the only way to slow a consumer down is to restart it, a rebalance and duplicates come on top of the load."),
			Try: steered},
		{Rule: rule(44, "trace context survives failure",
			"traceparent, tracestate, baggage, correlation and causation are the same in each attempt, in the dead letter and after a redrive.",
			"A trace that breaks at the first retry breaks when it is needed."),
			Try: trace},
		{Rule: rule(47, "what a group does not want is filtered",
			"Messages that a subscription does not want are counted as filtered and begun by no handler; other groups get them.",
			"A filter at the broker differs from broker to broker, and one in the handler shows as handled what was not."),
			Try: filtered},
		{Rule: rule(48, "a dependency that is down pauses its subscription",
			"A subscription whose handlers keep failing because a dependency is down pauses before its messages become dead letters, and goes on by itself.",
			"An outage of ten minutes fills the dead letters with messages that have nothing wrong with them."),
			Waits: true, Try: dependencyDown},
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
