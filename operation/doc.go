// Package operation runs durable operations: ordinary functions whose steps are journaled, so that they survive the
// process.
//
// What is decided is in machine.go (with settle.go, step.go and undo.go), without I/O or clock; testdata/scenarios shows
// it event by event. What is done is in live.go (the goroutine of an operation in memory), commit.go (the one writer) and
// wake.go (what is due).
package operation
