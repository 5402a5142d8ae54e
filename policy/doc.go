// Package policy is what makes a call survive: a deadline, retries under a budget, a breaker for each instance, the
// choice among instances, and admission on the callee's side. One file holds each.
//
// A [Client] stands in front of a [transport.Caller]; an [Admission] stands around the handlers of a service. Their
// zero options are the defaults, and each default says where its number comes from. Only one layer repeats: drivers
// never do, and a service whose own retries were in vain says so to its caller ([transport.Error.NoRetry]), so that a
// chain of services does not multiply its attempts.
package policy
