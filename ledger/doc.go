// Package ledger is the light log of what became of each message: transitions, never a copy of a message.
//
// Whoever moves a message (the client's core, delivery, policy) reports to a [Recorder]. A [Writer] sends what one
// process reports, in numbered batches, over a stream of the network itself; a collector reads that stream and
// assembles a [Trail] for each id. Package ledger/collector is that reader.
package ledger
