// Package node is what `parley dev` runs: one process with an embedded broker that others share, the collector of its
// ledger and what answers people over HTTP, found by every service and command of the same user without
// configuration.
package node
