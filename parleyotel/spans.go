package parleyotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// spans makes spans and sends them away. The SDK's provider ends nothing if it has no time left at Shutdown, and its
// batches are sent on for half a minute behind it; so processor and exporter are ended here.
type spans struct {
	provider  *sdktrace.TracerProvider
	processor sdktrace.SpanProcessor
	exporter  *exporter
}

func newSpans(where *resource.Resource, to sdktrace.SpanExporter) *spans {
	s := &spans{exporter: &exporter{to, make(chan struct{})}}
	s.processor = sdktrace.NewBatchSpanProcessor(s.exporter)
	s.provider = sdktrace.NewTracerProvider(sdktrace.WithResource(where), sdktrace.WithSpanProcessor(s.processor))
	return s
}

// shutdown sends what is left until ctx is done, and then cuts the rest. Nothing runs after it. Once only.
func (s *spans) shutdown(ctx context.Context) error {
	err := s.processor.Shutdown(ctx)
	if err != nil {
		cut := context.WithoutCancel(ctx)
		err = errors.Join(err, s.exporter.SpanExporter.Shutdown(cut))
	}
	<-s.exporter.unused
	return errors.Join(err, s.provider.Shutdown(context.WithoutCancel(ctx)))
}

// exporter tells when its processor has ended.
type exporter struct {
	sdktrace.SpanExporter
	unused chan struct{} // closed by Shutdown, which the processor calls once, last
}

func (e *exporter) Shutdown(ctx context.Context) error {
	defer close(e.unused)
	return e.SpanExporter.Shutdown(ctx)
}
