// Package transport holds the two seams of Parley and the values that cross them.
//
// A message goes through a [Broker]: the sender does not know who receives. A call goes through a [Caller]: the
// caller waits for one peer. They are two interfaces because a broker is no RPC system and HTTP is no broker.
// What people need beside the flow (backlog, groups, delayed messages) is an [Operator].
//
// A driver does what its interface says and nothing more: it never logs, never repeats by itself, and never starts
// a goroutine that its Close does not wait for. Repeating, retrying, ordering by key and dead letters happen once,
// above the seam. Package transporttest is the executable form of these comments.
//
// This package imports the standard library only.
package transport
