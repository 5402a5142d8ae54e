// Package fault wraps either seam and makes it misbehave by rules, which may be changed while it runs. For tests,
// demonstrations and development networks.
//
// # The language
//
// One rule a line; what follows a '#' at the beginning of a line is a comment.
//
//	rules   = [ rule ] { "\n" [ rule ] } .
//	rule    = verb [ share ] target [ pattern ] { clause } .
//	verb    = "fail" | "delay" duration | "lose" | "double" | "reorder" | "cut" .
//	share   = number "%" .                            more than 0, at most 100; default 100%
//	target  = "call" | "answer" | "send" | "receive" | "broker" | "handle" .
//	pattern = address | address ".*" | "*" .          default "*", every address
//	clause  = "at" service | "with" code [ text ] | "for" duration | "seed" number .
//
// A duration, a service, an address and a code are as elsewhere in Parley (200ms, billing, cards.v1.charge,
// unavailable); a text is quoted as in Go. Each clause may be given once, in any order. "at" limits a rule to one
// service, the one whose process is on this side of the seam: who calls (call), who answers (answer), who sends
// (send), who receives (receive, handle). "for" counts from when the rule was set here. "seed" chooses other random
// decisions; default 0.
//
//	fail call cards.v1.* with unavailable "card processor 503"
//	fail 30% call prices.v1.quote at storefront for 20s
//	delay 200ms 50% call seed 7
//	lose 5% send
//	double send orders.v1.order-placed
//	cut broker at billing
//	fail handle orders.v1.order-placed at mail
//
// # What the rules do
//
//	fail call      the request is not handed on; the answer is an error of the code (unavailable), as from the callee
//	fail answer    the handler does not run; the answer is an error of the code (unavailable)
//	fail send      the message is not stored; the receipt wraps transport.ErrNotSent
//	fail handle    nothing by itself: [Injector.HandleError] answers an error of the code (unavailable)
//	delay ...      call, answer or send waits before it goes on; several rules add up
//	lose call      no answer until the caller gives up; the callee has handled half of those requests
//	lose answer    the handler runs, its answer never comes
//	lose send      the receipt says that the outcome is unknown; half of those messages are stored
//	double call    the request is handled twice, one after the other; the caller gets the second answer
//	double send    the message is sent twice with the same id and copy
//	reorder send   the message waits until another one has overtaken it, 50 ms at the most
//	cut call       the callee cannot be reached: unavailable, not sent
//	cut send       the broker cannot be reached: receipts wrap transport.ErrNotSent
//	cut receive    deliveries stop, and what is settled meanwhile is lost: the broker delivers it again
//	cut broker     cut send and cut receive
//
// The addresses that begin with "parley." are those of Parley itself, and no rule strikes them. cut has no share. Rules
// apply in their order: delays add up, and the first rule of another kind that strikes decides.
package fault
