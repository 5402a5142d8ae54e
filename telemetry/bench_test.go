package telemetry

import (
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// BenchmarkProcess is what the telemetry of one attempt costs the handler, without export.
func BenchmarkProcess(b *testing.B) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	defer func() { _ = traces.Shutdown(b.Context()) }()
	for _, c := range []struct {
		name      string
		providers Providers
	}{
		{"nil", Providers{}},
		{"metrics", Providers{Meter: meters}},
		{"unsampled", Providers{Tracer: never, Meter: meters}},
		{"spans", Providers{Tracer: traces}},
		{"both", Providers{Tracer: traces, Meter: meters}},
	} {
		b.Run(c.name, func(b *testing.B) {
			tel := made(b, c.providers)
			e := message("order-1", "orders.v1.place")
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_, end := tel.Process(ctx, e, "orders.v1.place")
				end(nil)
			}
		})
	}
}
