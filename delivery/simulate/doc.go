// Package simulate plays small worlds of delivery on transport/mem in virtual time: a few messages, processes that
// receive them, and what a [Schedule] does to both. Processes are killed at chosen points, frozen, expelled, stopped and
// started; sends end unknown, come twice, late or out of order; the broker goes away; handlers fail, panic, end their
// goroutine or hang; dead letters are redriven. Afterwards an oracle compares what was confirmed to the senders with what
// the handlers and the stream of dead letters saw, and says which promise is broken.
//
// A schedule follows from its seed alone, and so does what each handler does with each attempt. What does not are the
// jitter of retries and the order in which Go runs goroutines that are ready at one moment; so a seed that fails may have
// to be played several times until it does again.
package simulate
