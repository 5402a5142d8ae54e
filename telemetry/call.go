package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-io/parley/transport"
)

// rpcSystem is what the conventions call the framework. Its rpc.response.status_code is a [transport.Code] or "ok".
const rpcSystem rpcconv.SystemNameAttr = "parley"

// Call begins a call, all attempts together, of the service that e is for. The span's parent is the span of ctx, else
// e.Trace, which may be "": it begins a trace. e.Trace becomes the new span.
func (t *Telemetry) Call(ctx context.Context, e *transport.Envelope, service string) (context.Context, func(error)) {
	if t == nil {
		return ctx, nothing
	}
	began := time.Now()
	peer := semconv.ServerAddress(service) // the conventions: it identifies a group of instances
	ctx, span := t.start(within(ctx, e), e.Address, trace.SpanKindClient, began, append(identity(e),
		semconv.RPCSystemNameKey.String(string(rpcSystem)), semconv.RPCMethod(e.Address), peer))
	w3c.Inject(ctx, carrier{e})
	method := e.Address
	return ctx, func(err error) {
		code, class := codeOf(err), ""
		if err != nil {
			class = string(code)
		}
		status := semconv.RPCResponseStatusCode(string(code))
		describe(span, err, status)
		took := finish(span, began, class, err)
		t.calls.Record(ctx, took, rpcSystem, failed([]attribute.KeyValue{
			semconv.RPCMethod(t.labels.label(method)), semconv.ServerAddress(t.labels.label(service)), status,
		}, class)...)
	}
}

// Answer begins the handling of a request. The span's parent is the span of ctx if that belongs to the trace of e, as
// the one of [Telemetry.Handler] does, else e.Trace. e is not changed. The error is the one that the caller gets; one
// that says that the request was wrong does not make the span a failed one.
func (t *Telemetry) Answer(ctx context.Context, e *transport.Envelope) (context.Context, func(error)) {
	if t == nil {
		return ctx, nothing
	}
	began := time.Now()
	ctx, span := t.start(same(ctx, e), e.Address, trace.SpanKindServer, began, append(identity(e),
		semconv.RPCSystemNameKey.String(string(rpcSystem)), semconv.RPCMethod(e.Address)))
	method := e.Address
	return ctx, func(err error) {
		code := codeOf(err)
		class := defect(code)
		status := semconv.RPCResponseStatusCode(string(code))
		describe(span, err, status)
		took := finish(span, began, class, err)
		t.answers.Record(ctx, took, rpcSystem, failed([]attribute.KeyValue{
			semconv.RPCMethod(t.labels.label(method)), status,
		}, class)...)
	}
}

// describe adds to a span what a call was answered, with the name of a declared error.
func describe(span trace.Span, err error, status attribute.KeyValue) {
	span.SetAttributes(status)
	if name := nameOf(err); name != "" {
		span.SetAttributes(attribute.String("parley.error.name", name))
	}
}
