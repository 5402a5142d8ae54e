package telemetry

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names what makes the spans and metrics.
const scope = "github.com/parley-io/parley"

// Providers are where spans and metrics go. Either may be nil: there are none of that kind then. Without a Tracer a
// trace that comes from elsewhere is passed on as it is.
type Providers struct {
	Tracer trace.TracerProvider
	Meter  metric.MeterProvider
}

// Telemetry makes spans and metrics for one service. A nil *Telemetry does nothing. Safe for concurrent use. It holds
// nothing that must be closed; the providers belong to whoever made them.
//
// Methods that begin something answer the context that belongs to it and a function that ends it. That function is
// called once, with the error it ended with or nil.
type Telemetry struct {
	tracer trace.Tracer
	meter  metric.Meter // nil = no metrics
	system messagingconv.SystemAttr
	labels names

	calls       rpcconv.ClientCallDuration
	answers     rpcconv.ServerCallDuration
	messages    messagingconv.ClientOperationDuration
	sent        messagingconv.ClientSentMessages
	consumed    messagingconv.ClientConsumedMessages
	processes   messagingconv.ProcessDuration
	requests    httpconv.ServerRequestDuration
	attempts    httpconv.ClientRequestDuration
	transitions metric.Int64Counter // nil = no metrics
}

// New returns what a service reports with; nil if p has neither provider. system is the kind of broker that its
// messages go through, as the conventions name it ("nats", "kafka"); "" = there is none. All spans and metrics have the
// service in the attribute "parley.service" of their scope, so that services of one process can share providers.
func New(p Providers, service, system string) (*Telemetry, error) {
	if p.Tracer == nil && p.Meter == nil {
		return nil, nil
	}
	if p.Tracer == nil {
		p.Tracer = noop.NewTracerProvider()
	}
	owner := attribute.String("parley.service", service)
	t := &Telemetry{
		tracer: p.Tracer.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL), trace.WithInstrumentationAttributes(owner)),
		system: messagingconv.SystemAttr(system),
	}
	if p.Meter != nil {
		t.meter = p.Meter.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL), metric.WithInstrumentationAttributes(owner))
	}
	if err := t.instruments(); err != nil {
		return nil, fmt.Errorf("telemetry of %s: %w", service, err)
	}
	return t, nil
}

// instruments makes them; those of a nil meter record nothing.
func (t *Telemetry) instruments() error {
	// The boundaries that the messaging conventions ask for, which their package leaves out.
	seconds := metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10)
	var errs [9]error
	t.calls, errs[0] = rpcconv.NewClientCallDuration(t.meter)
	t.answers, errs[1] = rpcconv.NewServerCallDuration(t.meter)
	t.messages, errs[2] = messagingconv.NewClientOperationDuration(t.meter, seconds)
	t.sent, errs[3] = messagingconv.NewClientSentMessages(t.meter)
	t.consumed, errs[4] = messagingconv.NewClientConsumedMessages(t.meter)
	t.processes, errs[5] = messagingconv.NewProcessDuration(t.meter, seconds)
	t.requests, errs[6] = httpconv.NewServerRequestDuration(t.meter)
	t.attempts, errs[7] = httpconv.NewClientRequestDuration(t.meter)
	if t.meter != nil {
		t.transitions, errs[8] = t.meter.Int64Counter("parley.transitions", metric.WithUnit("{transition}"),
			metric.WithDescription("What became of messages, operations and steps, as the ledger records it."))
	}
	return errors.Join(errs[:]...)
}

// nothing ends what a nil Telemetry began.
func nothing(error) {}
