// Package interop shows on real brokers that Parley and strangers understand each other: programs that know the names and
// headers of README.md and nothing of Parley. The strangers here are written with the official Go SDK of CloudEvents. It is
// a module of its own, so that nobody else depends on that SDK and its clients.
package interop
