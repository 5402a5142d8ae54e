package kafka

import "context"

// Sweep deletes what is handled, as happens twice a minute.
func Sweep(ctx context.Context, b *Broker) error { return b.sweep(ctx) }
