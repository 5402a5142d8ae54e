// Package mem is both seams of Parley inside one process: the reference implementation of [transport.Broker],
// [transport.Operator] and [transport.Caller], and the network on which users test their own services.
//
// A [Fabric] is the broker's storage and the wire. A [Process] is one process attached to it; it can be killed at any
// moment or at a chosen [Point], and started again under its name:
//
//	fabric := mem.New()
//	payments := fabric.Process("payments-1")
//	payments.CrashAt(mem.BeforeSettle, 1)    // handled, but the broker never learns of it
//	…                                        // run the service on payments.Broker() and payments.Caller()
//	<-payments.Dead()
//	payments = fabric.Process("payments-1")  // the restart gets the message again
//
// Nothing survives the process that holds the Fabric. Time is package time's, so inside a bubble of testing/synctest
// hours of retries take no time. A Fabric starts no goroutine of its own and needs no closing; timers of delayed
// messages end with it.
package mem
