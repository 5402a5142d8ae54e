//go:build battery

package nats_test

import "go.uber.org/goleak"

// tolerated are the goroutines that tests may leave behind: nats-server 2.15.2 does not end the one that flushes a batch
// which it could not stage on a full disk, nor does it close its file.
func tolerated() []goleak.Option {
	return []goleak.Option{goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop")}
}
