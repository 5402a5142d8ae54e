// Package node is what `parley dev` and `parley serve` run: one process with the collector of a network's ledger and what
// answers people over HTTP. For development it runs an embedded broker too, unless a network is named, and every service
// and command of the same user finds it without configuration.
package node
