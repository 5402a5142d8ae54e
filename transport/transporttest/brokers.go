package transporttest

import (
	"context"
	"testing"
)

// Brokers are the promises of a [transport.Broker] that need nothing above it.
func Brokers() Suite[Site] {
	return Suite[Site]{
		{Rule{1, "identity is stable",
			"A message arrives with the ID and everything else that it was sent with, again so after each Return; IDs that look alike stay apart.",
			"One id that holds from sender to receiver is what every trail, inbox and redrive stands on."},
			identityIsStable},
		{Rule{2, "confirmed is durable",
			"What a nil receipt confirmed is delivered although the broker is killed right after it.",
			"A broker that confirms from a buffer loses what its clients have already forgotten."},
			confirmedIsDurable},
		{Rule{4, "killed publisher",
			"When a publisher is killed at any moment, what was confirmed to it is handled once, and the rest once or never.",
			"Half-sent batches, and repeats by the driver itself, make losses and twins that nobody can explain."},
			killedPublisher},
		{Rule{6, "repeats are one message, copies are not",
			"Inside the window of Features.Dedupe a repeated (ID, Copy) is stored once; another Copy or channel is never swallowed.",
			"A broker that dedupes by ID alone swallows delayed attempts and redrives: a loss that looks like success."},
			repeatsAndCopies},
		{Rule{7, "undeclared is refused",
			"Sending to an undeclared or impossible address is ErrRefused; a channel declared differently is an error that names both forms and changes nothing; a topic without groups accepts.",
			"A send that succeeds into nowhere is the quietest way to lose a message."},
			undeclaredIsRefused},
		{Rule{8, "oversize is refused",
			"A message above Features.MaxBytes is ErrRefused, one of exactly that size arrives, and the connection goes on.",
			"Brokers close the connection of a client that sends too much, and everything in flight becomes unknown."},
			oversizeIsRefused},
		{Rule{10, "cancelled sends are honest",
			"With a context that is done nothing is stored and the receipt wraps ErrNotSent; when it ends during Send, each receipt tells the truth or leaves it open.",
			"A send reported as failed that happened all the same is repeated under a new id, and the customer pays twice."},
			cancelledSends},
		{Rule{11, "batches answer one by one",
			"Send gives one receipt per envelope in their order, a bad envelope spoils none of its neighbours, and messages of one key keep the order of the batch.",
			"All-or-nothing batches turn one bad message into a stuck outbox."},
			batchesAnswerOneByOne},
		{Rule{12, "concurrent publishers keep order",
			"What one publisher sends with one key is taken in that order, however many publish at once.",
			"Pipelining that reorders confirmations or partitions breaks every state machine downstream."},
			concurrentPublishers},
		{Rule{13, "killed consumer",
			"What a consumer had not settled when it was killed is delivered again, to others.",
			"Acknowledging on arrival, or committing past what is unfinished, loses a message with each crash."},
			killedConsumer},
		{Rule{20, "not before its time",
			"Within Features.Delay a message is delivered no sooner than NotBefore and at most 2 s later, and nothing waits behind it.",
			"Schedules that truncate to seconds fire early, and a delay that blocks its queue delays everybody."},
			notBefore},
		{Rule{22, "returns do not spin",
			"A message that is returned again and again comes back with pauses, and is not lost.",
			"Whoever cannot handle a message for the moment returns it: at full speed that is a busy loop through the broker, and a broker that counts tries drops it."},
			returnsDoNotSpin},
		{Rule{24, "bodies are opaque",
			"Every body arrives byte for byte: none at all, one byte, all bytes, text that is no text, the largest.",
			"A layer that decodes, trims or re-encodes breaks signatures, and an undecodable message that blocks its queue stops everybody."},
			bodiesAreOpaque},
		{Rule{26, "order by key among processes",
			"While processes that share a partitioned queue are killed, frozen, joined and ended, each key is handled in order by one of them at a time, nothing is lost, only a fault repeats, and who was thawed starts nothing that others have taken over.",
			"Two owners of one key at a time is the failure that tests of one process never show."},
			orderAmongProcesses},
		{Rule{27, "competing consumers",
			"Consumers of one queue share its messages, each message goes to one, and nothing is lost or doubled when consumers come and go under load.",
			"What a leaving consumer had fetched but not started is the classic loss, or twin, of every scale-down."},
			competingConsumers},
		{Rule{28, "fan-out",
			"Each registered group gets every message once, receivers of one group share them, and a copy with a Group reaches that group alone.",
			"A retry that reaches the groups that had succeeded runs their effects again."},
			fanOut},
		{Rule{29, "new groups begin where they are told",
			"A new group of a stream, or a reader without one, begins at the start, now, at a time or at a message, and misses nothing from there; an existing group goes on where it was.",
			"A group that begins too late misses messages that nobody counts as lost."},
			newGroups},
		{Rule{30, "replay leaves groups alone",
			"A reader without a group gets exactly the messages of its range and ends by itself, and no group gets more, fewer or other messages for that.",
			"Replay is done in an emergency: it must not make a second one."},
			replayLeavesGroupsAlone},
		{Rule{35, "broker away",
			"While the broker is away every Send and Declare ends with its context and an error that says so, Receives wait, and within 10 s of its return everything goes on by itself; nothing confirmed is lost.",
			"Clients give up after 25 s to 2 minutes by default, and their services then look alive and handle nothing."},
			brokerAway},
		{Rule{39, "orderly end",
			"When its context ends, Receive takes nothing more and returns once all is settled; Close ends what hangs, and that is delivered elsewhere.",
			"Deployments happen daily: an end that loses or doubles in-flight work does so daily."},
			orderlyEnd},
		{Rule{40, "nothing leaks",
			"Opening, using and closing a broker many times leaves no goroutine and no file descriptor behind.",
			"Leaks live where connections end, and show after weeks."},
			nothingLeaks},
		{Rule{43, "headers are carried unharmed or refused",
			"Headers, keys and all other fields arrive as they were sent, or the receipt wraps ErrRefused.",
			"A client library was seen to turn line breaks in header values into spaces and to trim them, silently."},
			headersUnharmed},
		{Rule{44, "trace context survives",
			"traceparent, tracestate and baggage arrive unchanged with a message, its redelivery, a copy for a group and a delayed copy.",
			"A trace that breaks at the first retry breaks when it is needed."},
			traceSurvives},
		{Rule{47, "returns keep order",
			"What is returned as soon as it is taken comes again before anything newer of its key is taken.",
			"A receiver that gives back what it may not begin yet must not see it overtaken."},
			returnsKeepOrder},
	}
}

// Check tries all promises of a broker by the wall clock and explains each broken one.
func Check(ctx context.Context, target Target[Site], o Options) error {
	return Errors(Brokers().Results(ctx, target, o))
}

// Run tries all promises of a broker as subtests.
func Run(t *testing.T, target Target[Site], o Options) []Result {
	t.Helper()
	return Brokers().Run(t, target, o)
}
