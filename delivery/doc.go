// Package delivery is what happens between a [transport.Broker] and a handler, the same on every broker: attempts,
// immediate and delayed retries, dead letters and redrive, order by key, bounded concurrency, pause and drain.
//
// A [Consumer] runs one [Subscription]. Attempts are counted in the envelope and by the consumer, never by the
// broker. A delivery is settled as done only after the ledger has confirmed its outcome, and after the delayed copy or
// dead letter that replaces it is stored; until then it stays with the broker. So every message is handled at least
// once, and twice where a process dies, or a connection breaks, between the handler and the settling.
//
// Two things stop the flow by themselves: with StopKey a dead letter keeps what follows it in its key from the handler
// until it is redriven, on every instance, because the record of it is in [StoppedKeys] before the dead letter is; and
// the kill switch pauses a subscription whose handler says that a dependency is down.
//
// [Send] and [Declare] are how messages enter a broker: they repeat what may be repeated.
package delivery
