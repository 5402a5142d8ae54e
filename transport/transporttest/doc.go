// Package transporttest is the promises of the seams as a program.
//
// A [Promise] has a number, a name, the rule in one sentence, the reason for it, and a function that tries to break
// it. [Brokers] are the promises of a [transport.Broker], [Callers] those of a [transport.Caller]; package
// deliverytest adds those that need retries and dead letters. A [Target] is what is tried: how to start it, how
// to connect to it, and what else may be done to it, such as killing it.
//
//	func TestBroker(t *testing.T) { transporttest.Run(t, target, transporttest.Options{}) }
//
// What a run finds is kept: [Record] compares it with a file of docs/brokers, of which [Table] makes the page docs/brokers.md.
//
//	transporttest.Record(t, target, transporttest.Run(t, target, transporttest.Options{}))
//
// Outside a test, [Check] answers an error that explains each broken promise, and [Suite.Results] the whole table as
// data. A target may declare that it cannot keep a promise; it is then reported as declared, never as passed. A check
// that needs what the target does not give, such as a server that may be killed, is not run, which is no pass either.
//
// PARLEY_CHECKS=5,36 chooses checks in tests, PARLEY_CONFORM=full the full counts, PARLEY_SEED other random moments.
package transporttest
