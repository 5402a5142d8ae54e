// Package parleyotel is the OpenTelemetry SDK, set up for a service by the standard environment variables:
//
//	sdk, err := parleyotel.Start(ctx, "orders")
//	defer sdk.Shutdown(context.WithoutCancel(ctx))
//
// Without any of them nothing is sent anywhere. Spans are exported when OTEL_TRACES_EXPORTER or a variable of
// OTEL_EXPORTER_OTLP that concerns traces is set, metrics likewise; both as the SDK's own documentation says
// (OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS, OTEL_TRACES_SAMPLER, OTEL_BSP_…). OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES win over what the code says. OTEL_SDK_DISABLED=true leaves the SDK out.
//
// Metrics are always there for a Prometheus that asks, at [SDK.Handler]. Logs are not exported.
//
// Only programs import this package; package telemetry knows the API alone.
package parleyotel
