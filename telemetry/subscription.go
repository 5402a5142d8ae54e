package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// SubscriptionState is how one subscription of an instance does. Receiver is its group, or the address of a queue.
type SubscriptionState struct {
	Address, Receiver string
	Paused            bool // by hand or by the kill switch
	StoppedKeys       int  // of the whole group
}

// Subscriptions makes the gauges "parley.subscription.paused", 1 for a subscription that is paused and 0 for one that is
// not, and "parley.subscription.stopped_keys", both by "parley.address" and "parley.receiver". read is called whenever
// metrics are collected, from any goroutine, until the meter's provider is shut down. Of several services of one client,
// the last one's are shown.
func (t *Telemetry) Subscriptions(read func() []SubscriptionState) error {
	if t == nil || t.meter == nil {
		return nil
	}
	gauge := func(name, unit, description string, of func(SubscriptionState) int64) error {
		observe := func(_ context.Context, o metric.Int64Observer) error {
			for _, s := range read() {
				o.Observe(of(s), metric.WithAttributes(
					attribute.String("parley.address", t.labels.label(s.Address)), attribute.String("parley.receiver", t.labels.label(s.Receiver))))
			}
			return nil
		}
		_, err := t.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description), metric.WithInt64Callback(observe))
		return err
	}
	err := errors.Join(
		gauge("parley.subscription.paused", "1", "Whether a subscription is paused, by hand or by its kill switch.", func(s SubscriptionState) int64 {
			if s.Paused {
				return 1
			}
			return 0
		}),
		gauge("parley.subscription.stopped_keys", "{key}", "Keys of a group that wait for the redrive of a dead letter.", func(s SubscriptionState) int64 {
			return int64(s.StoppedKeys)
		}),
	)
	if err != nil {
		return fmt.Errorf("telemetry of subscriptions: %w", err)
	}
	return nil
}
