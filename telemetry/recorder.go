package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// Recorder is next with telemetry in front. It passes every transition on as it is, and counts it in
// "parley.transitions" by what happened ("parley.transition": the ledger's kinds, and "retried" in place of received for
// an attempt after the first), "parley.style", "parley.address" and "parley.receiver". What happens to a message between
// attempts (delayed, dead-lettered, expired, redriven) becomes a span without length below the one that sent it; a
// redrive links to that one too.
//
// Transitions of calls are passed on and no more: the ledger gets a sample of them, and the durations of [Telemetry.Call]
// and [Telemetry.Caller] count them all.
func (t *Telemetry) Recorder(next ledger.Recorder) ledger.Recorder {
	if t == nil {
		return next
	}
	return recorder{t, next}
}

type recorder struct {
	telemetry *Telemetry
	next      ledger.Recorder
}

func (r recorder) Record(t ledger.Transition, confirmed func()) {
	if t.Style != ledger.StyleCall {
		r.telemetry.count(&t)
	}
	if t.Style == ledger.StyleCommand || t.Style == ledger.StyleEvent {
		r.telemetry.show(&t)
	}
	r.next.Record(t, confirmed)
}

func (t *Telemetry) count(n *ledger.Transition) {
	if t.transitions == nil {
		return
	}
	labels := []attribute.KeyValue{
		attribute.String("parley.transition", transitionOf(n)), attribute.String("parley.address", t.labels.label(n.Address)),
		attribute.String("parley.style", t.labels.label(n.Style)),
	}
	if n.Group != "" {
		labels = append(labels, attribute.String("parley.receiver", t.labels.label(n.Group)))
	}
	t.transitions.Add(context.Background(), 1, metric.WithAttributes(labels...))
}

func transitionOf(n *ledger.Transition) string {
	switch n.Kind {
	case ledger.Received:
		if n.Attempt > 1 {
			return "retried"
		}
		return string(n.Kind)
	case ledger.Accepted, ledger.Done, ledger.Failed, ledger.Delayed, ledger.DeadLettered, ledger.Redriven,
		ledger.Filtered, ledger.Expired, ledger.Ended:
		return string(n.Kind)
	}
	return other
}

// show makes the span of what happens between attempts.
func (t *Telemetry) show(n *ledger.Transition) {
	kind, operation := trace.SpanKindClient, semconv.MessagingOperationTypeSettle
	var name string
	switch n.Kind {
	case ledger.Delayed:
		name = "delay"
	case ledger.DeadLettered:
		name = "dead-letter"
	case ledger.Expired:
		name = "expire"
	case ledger.Redriven:
		name, kind, operation = "redrive", trace.SpanKindProducer, semconv.MessagingOperationTypeSend
	default:
		return
	}
	at := n.At
	if at.IsZero() {
		at = time.Now()
	}
	e := &transport.Envelope{
		ID: n.ID, Address: n.Address, Copy: n.Copy, Correlation: n.Correlation, Causation: n.Causation, Attempt: n.Attempt, Trace: n.Trace,
	}
	attributes := append(identity(e), semconv.MessagingSystemKey.String(string(t.system)), semconv.MessagingOperationName(name), operation,
		semconv.MessagingDestinationName(n.Address), semconv.MessagingMessageID(n.ID), semconv.MessagingConsumerGroupName(n.Group))
	if !n.Until.IsZero() {
		attributes = append(attributes, attribute.String("parley.until", n.Until.UTC().Format(time.RFC3339Nano)))
	}
	if n.By != "" {
		attributes = append(attributes, attribute.String("parley.by", n.By))
	}
	ctx := from(context.Background(), e)
	var options []trace.SpanStartOption
	if n.Kind == ledger.Redriven {
		options = linked(ctx)
	}
	_, span := t.start(ctx, name+" "+n.Address, kind, at, attributes, options...)
	if n.Kind == ledger.DeadLettered {
		span.SetStatus(codes.Error, clip(n.Reason))
	}
	span.End(trace.WithTimestamp(at))
}
