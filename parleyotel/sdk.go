package parleyotel

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/parley-io/parley/telemetry"
)

// SDK makes what a process reports and sends it away. Safe for concurrent use.
type SDK struct {
	traces  *spans                   // nil: nobody gets them
	metrics *sdkmetric.MeterProvider // nil: the SDK is disabled
	handler http.Handler

	mu    sync.Mutex
	ended bool
}

// Option is an option of [Start].
type Option func(*options)

type options struct{ global bool }

// Global makes the SDK's providers, and the W3C propagator of trace context and baggage, those of the whole process, for
// libraries that know no others. They stay so after Shutdown.
func Global() Option { return func(o *options) { o.global = true } }

// Start reads the environment and begins. service is the name of the service where the environment has none; each Start
// has a service.instance.id of its own. ctx bounds the start only. An error says everything that is wrong, and nothing
// has begun then.
func Start(ctx context.Context, service string, opts ...Option) (*SDK, error) {
	var o options
	for _, option := range opts {
		option(&o)
	}
	pages := newPages()
	s := &SDK{handler: pages}
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return s, nil
	}
	where, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceInstanceID(uuid.NewString())),
		resource.WithFromEnv()) // wins over what comes before
	if err == nil && service == "" {
		err = errors.New("no name of a service")
	}
	tracing, errTraces := exportSpans(ctx)
	metering, errMetrics := exportMetrics(ctx)
	readers, errPages := pages.readers()
	if err = errors.Join(err, errTraces, errMetrics, errPages); err != nil {
		return nil, fmt.Errorf("telemetry of %s: %w", service, errors.Join(err, undo(ctx, tracing, metering)))
	}
	if metering != nil {
		readers = append(readers, metering)
	}
	meters := []sdkmetric.Option{sdkmetric.WithResource(where)}
	for _, r := range readers {
		meters = append(meters, sdkmetric.WithReader(r))
	}
	s.metrics = sdkmetric.NewMeterProvider(meters...)
	if tracing != nil {
		s.traces = newSpans(where, tracing)
	}
	if o.global {
		s.beGlobal()
	}
	return s, nil
}

// Providers are for [telemetry.New] and for instrumentation of the program's own. There is no Tracer while nobody gets
// spans.
func (s *SDK) Providers() telemetry.Providers {
	var p telemetry.Providers // a nil pointer in an interface is not nil
	if s.traces != nil {
		p.Tracer = s.traces.provider
	}
	if s.metrics != nil {
		p.Meter = s.metrics
	}
	return p
}

// Handler answers a Prometheus, usually at GET /metrics: all metrics of the SDK, and those of the Go runtime and the
// process. It has native histograms for those who ask for protobuf, which is where Prometheus has them, and buckets for
// all others. After Shutdown it has those of the runtime and the process.
func (s *SDK) Handler() http.Handler { return s.handler }

// Shutdown sends what is left, until ctx is done, and ends everything; what could not be sent by then is lost, which the
// error says. Twice is fine.
func (s *SDK) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	var errs []error
	if s.traces != nil {
		errs = append(errs, s.traces.shutdown(ctx))
	}
	if s.metrics != nil {
		errs = append(errs, s.metrics.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("telemetry: the last of it may be lost: %w", err)
	}
	return nil
}

func (s *SDK) beGlobal() {
	if s.traces != nil {
		otel.SetTracerProvider(s.traces.provider)
	}
	otel.SetMeterProvider(s.metrics)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
}

// exportSpans is where spans go; nil = nowhere.
func exportSpans(ctx context.Context) (sdktrace.SpanExporter, error) {
	if !wanted(os.Environ(), "TRACES") {
		return nil, nil
	}
	e, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER=%q, OTEL_EXPORTER_OTLP_…: %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
	}
	if autoexport.IsNoneSpanExporter(e) {
		return nil, e.Shutdown(ctx)
	}
	return e, nil
}

// exportMetrics is where metrics go beside the pages; nil = nowhere.
func exportMetrics(ctx context.Context) (sdkmetric.Reader, error) {
	if !wanted(os.Environ(), "METRICS") {
		return nil, nil
	}
	r, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_METRICS_EXPORTER=%q, OTEL_EXPORTER_OTLP_…: %w", os.Getenv("OTEL_METRICS_EXPORTER"), err)
	}
	if autoexport.IsNoneMetricReader(r) {
		return nil, r.Shutdown(ctx)
	}
	return r, nil
}

// wanted reports whether an environment asks for a signal: by name, or by a setting of OTLP that is not another
// signal's. The standard's own default, to send to port 4318 of this machine unasked, is only noise where nobody listens.
func wanted(environ []string, signal string) bool {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" {
			continue
		}
		if name == "OTEL_"+signal+"_EXPORTER" {
			return true
		}
		rest, ok := strings.CutPrefix(name, "OTEL_EXPORTER_OTLP_")
		if !ok {
			continue
		}
		first, _, _ := strings.Cut(rest, "_")
		if first == signal || first != "TRACES" && first != "METRICS" && first != "LOGS" && first != "PROFILES" {
			return true
		}
	}
	return false
}

// undo ends what a Start that failed had made.
func undo(ctx context.Context, tracing sdktrace.SpanExporter, metering sdkmetric.Reader) error {
	var errs []error
	if tracing != nil {
		errs = append(errs, tracing.Shutdown(ctx))
	}
	if metering != nil {
		errs = append(errs, metering.Shutdown(ctx))
	}
	return errors.Join(errs...)
}
