package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-io/parley/transport"
)

// Send begins the sending of a message, until the broker has confirmed it. style is "command" or "event". The span's
// parent is the span of ctx, else e.Trace, which may be "": it begins a trace. e.Trace becomes the new span.
func (t *Telemetry) Send(ctx context.Context, e *transport.Envelope, style string) (context.Context, func(error)) {
	if t == nil {
		return ctx, nothing
	}
	began := time.Now()
	ctx, span := t.start(within(ctx, e), "send "+e.Address, trace.SpanKindProducer, began,
		append(t.message(e, "send", semconv.MessagingOperationTypeSend), attribute.String("parley.style", style)))
	w3c.Inject(ctx, carrier{e})
	address := e.Address
	return ctx, func(err error) {
		class := classOf(err)
		took := finish(span, began, class, err)
		labels := failed([]attribute.KeyValue{semconv.MessagingDestinationName(t.labels.label(address))}, class)
		t.sent.Add(ctx, 1, "send", t.system, labels...)
		t.messages.Record(ctx, took, "send", t.system, append(labels, semconv.MessagingOperationTypeSend)...)
	}
}

// Process begins one attempt of a group to handle a message; on a queue, group is its address. The span's parent is the
// one that sent the message, e.Trace, whatever span ctx has, and it is linked to that one too. e is not changed: another
// attempt has the same parent. Each attempt is a consumed message, because it is handed to the application.
func (t *Telemetry) Process(ctx context.Context, e *transport.Envelope, group string) (context.Context, func(error)) {
	if t == nil {
		return ctx, nothing
	}
	began := time.Now()
	ctx = from(ctx, e)
	ctx, span := t.start(ctx, "process "+e.Address, trace.SpanKindConsumer, began,
		append(t.message(e, "process", semconv.MessagingOperationTypeProcess), semconv.MessagingConsumerGroupName(group)),
		linked(ctx)...)
	address := e.Address
	return ctx, func(err error) {
		class := classOf(err)
		took := finish(span, began, class, err)
		labels := failed([]attribute.KeyValue{
			semconv.MessagingDestinationName(t.labels.label(address)), semconv.MessagingConsumerGroupName(t.labels.label(group)),
		}, class)
		t.consumed.Add(ctx, 1, "process", t.system, labels...)
		t.processes.Record(ctx, took, "process", t.system, labels...)
	}
}

// message are the attributes of a span about e.
func (t *Telemetry) message(e *transport.Envelope, name string, kind attribute.KeyValue) []attribute.KeyValue {
	all := identity(e)
	all = append(all, semconv.MessagingSystemKey.String(string(t.system)), semconv.MessagingOperationName(name), kind,
		semconv.MessagingDestinationName(e.Address), semconv.MessagingMessageID(e.ID), semconv.MessagingMessageBodySize(len(e.Body)))
	if e.Correlation != "" {
		return append(all, semconv.MessagingMessageConversationID(e.Correlation))
	}
	return append(all, semconv.MessagingMessageConversationID(e.ID))
}

// linked is a link to the span of ctx, if it has one.
func linked(ctx context.Context) []trace.SpanStartOption {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: sc})}
	}
	return nil
}
