//go:build !battery

package nats_test

import "go.uber.org/goleak"

// tolerated are the goroutines that tests may leave behind: none.
func tolerated() []goleak.Option { return nil }
