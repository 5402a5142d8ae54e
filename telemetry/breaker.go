package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// BreakerState is what the breaker towards one instance of a service does: "closed", "open" or "half-open".
type BreakerState struct{ Service, State string }

// Breakers makes the gauge "parley.breaker.state": how many breakers towards a service are in a state, one series for
// each service and state, also where that is 0. read is called whenever metrics are collected, from any goroutine, until
// the meter's provider is shut down. Of several clients of one service in a process, the last one's are shown.
func (t *Telemetry) Breakers(read func() []BreakerState) error {
	if t == nil || t.meter == nil {
		return nil
	}
	observe := func(_ context.Context, o metric.Int64Observer) error {
		counts := make(map[BreakerState]int64)
		for _, b := range read() {
			b.Service = t.labels.label(b.Service)
			for _, state := range [...]string{"closed", "open", "half-open"} {
				counts[BreakerState{b.Service, state}] += 0
			}
			counts[b]++
		}
		for b, n := range counts {
			o.Observe(n, metric.WithAttributes(semconv.ServicePeerName(b.Service), attribute.String("parley.breaker.state", b.State)))
		}
		return nil
	}
	_, err := t.meter.Int64ObservableGauge("parley.breaker.state", metric.WithUnit("{breaker}"),
		metric.WithDescription("Circuit breakers towards the instances of a service, by state."), metric.WithInt64Callback(observe))
	if err != nil {
		return fmt.Errorf("telemetry of breakers: %w", err)
	}
	return nil
}
