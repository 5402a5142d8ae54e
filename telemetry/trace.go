package telemetry

import (
	"context"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-io/parley/transport"
)

// w3c reads and writes traceparent and tracestate. Baggage is not carried.
var w3c propagation.TraceContext

// carrier is an envelope as a place of W3C headers.
type carrier struct{ e *transport.Envelope }

func (c carrier) Get(name string) string {
	if name == "traceparent" {
		return c.e.Trace
	}
	return c.e.Headers[name]
}

// Set leaves a map of headers as it is that others may hold too. A header that an envelope has no room for is left out.
func (c carrier) Set(name, value string) {
	if name == "traceparent" {
		c.e.Trace = value
		return
	}
	if len(c.e.Headers) >= transport.MaxHeaders && c.e.Headers[name] == "" {
		return
	}
	headers := make(map[string]string, len(c.e.Headers)+1)
	maps.Copy(headers, c.e.Headers)
	headers[name] = value
	c.e.Headers = headers
}

func (c carrier) Keys() []string {
	return slices.AppendSeq([]string{"traceparent"}, maps.Keys(c.e.Headers))
}

// from is ctx with the span that e names in place of its own; with none if e names none.
func from(ctx context.Context, e *transport.Envelope) context.Context {
	return w3c.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), carrier{e})
}

// within is ctx if it has a span, else from.
func within(ctx context.Context, e *transport.Envelope) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return from(ctx, e)
}

// same is ctx if it has a span of e's trace, or e names none; else from.
func same(ctx context.Context, e *transport.Envelope) context.Context {
	own := trace.SpanContextFromContext(ctx)
	given := from(ctx, e)
	if sc := trace.SpanContextFromContext(given); sc.IsValid() && sc.TraceID() != own.TraceID() {
		return given
	}
	return ctx
}

// start begins a span at a time. It may change attributes: what is no UTF-8 in them, a path or the id of a message that
// could not be read, is replaced, because exporters throw a whole batch away for it.
func (t *Telemetry) start(ctx context.Context, name string, kind trace.SpanKind, at time.Time, attributes []attribute.KeyValue, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	for i, a := range attributes {
		if a.Value.Type() == attribute.STRING && !utf8.ValidString(a.Value.AsString()) {
			attributes[i] = a.Key.String(valid(a.Value.AsString()))
		}
	}
	options = append(options, trace.WithSpanKind(kind), trace.WithTimestamp(at), trace.WithAttributes(attributes...))
	return t.tracer.Start(ctx, valid(name), options...) //nolint:spancheck // finish ends it
}

// finish ends a span that began at a time, as failed if class is not "", and is how many seconds it took.
func finish(span trace.Span, began time.Time, class string, err error) float64 {
	now := time.Now()
	if class != "" {
		span.SetAttributes(semconv.ErrorTypeKey.String(class))
		text := ""
		if err != nil {
			text = clip(err.Error())
		}
		span.SetStatus(codes.Error, text)
	}
	span.End(trace.WithTimestamp(now))
	return now.Sub(began).Seconds()
}

// identity are the ids of e, for spans.
func identity(e *transport.Envelope) []attribute.KeyValue {
	correlation := e.Correlation
	if correlation == "" {
		correlation = e.ID
	}
	all := make([]attribute.KeyValue, 0, 16)
	all = append(all, attribute.String("parley.message.id", e.ID), attribute.String("parley.correlation.id", correlation),
		attribute.Int("parley.attempt", max(e.Attempt, 1)))
	if e.Causation != "" {
		all = append(all, attribute.String("parley.causation.id", e.Causation))
	}
	if e.Copy != "" {
		all = append(all, attribute.String("parley.copy", e.Copy))
	}
	return all
}
