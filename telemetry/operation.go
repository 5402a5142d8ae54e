package telemetry

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-io/parley/transport"
)

// Run begins a run of an operation's code. An operation that is interrupted has several, each a span of its own below
// the one where it was started: traceparent, whatever span ctx has. The error is nil where the code was interrupted.
func (t *Telemetry) Run(ctx context.Context, id, address string, version int, traceparent string) (context.Context, func(error)) {
	if t == nil {
		return ctx, nothing
	}
	return t.inside(from(ctx, &transport.Envelope{Trace: traceparent}), "run "+address,
		attribute.String("parley.operation.id", id), attribute.String("parley.address", address), attribute.Int("parley.operation.version", version))
}

// Step begins an attempt of a step of an operation. The span's parent is the span of ctx if that belongs to the trace of
// traceparent, where the operation was started, as the one of [Telemetry.Run] does; else traceparent.
func (t *Telemetry) Step(ctx context.Context, operationID, key string, attempt int, traceparent string) (context.Context, func(error)) {
	if t == nil {
		return ctx, nothing
	}
	name, _, _ := strings.Cut(key, "#") // the names of spans have no numbers
	return t.inside(same(ctx, &transport.Envelope{Trace: traceparent}), "step "+name,
		attribute.String("parley.operation.id", operationID), attribute.String("parley.step.key", key), attribute.Int("parley.attempt", attempt))
}

// inside begins a span of what happens in this process. What it measures is counted by the Recorder.
func (t *Telemetry) inside(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, func(error)) {
	began := time.Now()
	ctx, span := t.start(ctx, name, trace.SpanKindInternal, began, attributes)
	return ctx, func(err error) {
		if name := nameOf(err); name != "" {
			span.SetAttributes(attribute.String("parley.error.name", name))
		}
		finish(span, began, classOf(err), err)
	}
}
