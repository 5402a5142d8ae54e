package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

const elsewhere = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestSpansHaveTheAttributesOfTheConventions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	story(w)
	for _, c := range []struct{ span, want string }{
		{"send orders.v1.placed", `
messaging.destination.name=orders.v1.placed
messaging.message.body.size=2
messaging.message.conversation_id=order-1
messaging.message.id=event-1
messaging.operation.name=send
messaging.operation.type=send
messaging.system=nats
parley.attempt=1
parley.causation.id=order-1
parley.correlation.id=order-1
parley.message.id=event-1
parley.style=event
`},
		{"process orders.v1.place", `
error.type=_OTHER
messaging.consumer.group.name=orders.v1.place
messaging.destination.name=orders.v1.place
messaging.message.body.size=2
messaging.message.conversation_id=order-1
messaging.message.id=order-1
messaging.operation.name=process
messaging.operation.type=process
messaging.system=nats
parley.attempt=1
parley.correlation.id=order-1
parley.message.id=order-1
`},
		{"delay orders.v1.place", `
messaging.consumer.group.name=orders.v1.place
messaging.destination.name=orders.v1.place
messaging.message.id=order-1
messaging.operation.name=delay
messaging.operation.type=settle
messaging.system=nats
parley.attempt=1
parley.correlation.id=order-1
parley.message.id=order-1
parley.until=2030-01-01T00:00:00Z
`},
		{"redrive orders.v1.place", `
messaging.consumer.group.name=orders.v1.place
messaging.destination.name=orders.v1.place
messaging.message.id=order-1
messaging.operation.name=redrive
messaging.operation.type=send
messaging.system=nats
parley.attempt=1
parley.copy=r1
parley.correlation.id=order-1
parley.message.id=order-1
`},
		{"step credit", `
parley.attempt=1
parley.operation.id=loan-1
parley.step.key=credit#1
`},
		{"run loans.v1.decide", `
parley.address=loans.v1.decide
parley.operation.id=loan-1
parley.operation.version=2
`},
	} {
		wantText(t, "attributes of "+c.span, attributes(w.span(c.span)), c.want)
	}
}

func TestCallsAndTheirAttemptsHaveTheAttributesOfTheConventions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	story(w)
	var got strings.Builder
	for _, s := range w.ended() {
		if s.SpanKind() == trace.SpanKindServer || s.SpanKind() == trace.SpanKindClient && !strings.Contains(s.Name(), "orders") {
			fmt.Fprintf(&got, "%s %s\n%s", s.SpanKind(), s.Name(), attributes(s))
		}
	}
	wantText(t, "spans", got.String(), `
server billing.v1.charge
error.type=unavailable
parley.attempt=1
parley.causation.id=order-1
parley.correlation.id=call-1
parley.message.id=call-1
rpc.method=billing.v1.charge
rpc.response.status_code=unavailable
rpc.system.name=parley
server POST /billing/v1/charge
error.type=503
http.request.method=POST
http.response.status_code=503
http.route=/billing/v1/charge
network.protocol.version=1.1
server.address=10.0.0.7
server.port=8080
url.path=/billing/v1/charge
url.scheme=http
client POST /billing/v1/charge
error.type=unavailable
http.request.method=POST
parley.attempt=1
parley.causation.id=order-1
parley.correlation.id=order-1
parley.message.id=call-1
server.address=10.0.0.7
server.port=8080
url.full=http://10.0.0.7:8080/billing/v1/charge
url.template=/billing/v1/charge
server billing.v1.charge
parley.attempt=1
parley.causation.id=order-1
parley.correlation.id=call-1
parley.message.id=call-1
rpc.method=billing.v1.charge
rpc.response.status_code=ok
rpc.system.name=parley
server POST /billing/v1/charge
http.request.method=POST
http.response.status_code=200
http.route=/billing/v1/charge
network.protocol.version=1.1
server.address=10.0.0.7
server.port=8080
url.path=/billing/v1/charge
url.scheme=http
client POST /billing/v1/charge
http.request.method=POST
http.request.resend_count=1
http.response.status_code=200
parley.attempt=2
parley.causation.id=order-1
parley.correlation.id=order-1
parley.message.id=call-1
server.address=10.0.0.7
server.port=8080
url.full=http://10.0.0.7:8080/billing/v1/charge
url.template=/billing/v1/charge
client billing.v1.charge
parley.attempt=1
parley.causation.id=order-1
parley.correlation.id=order-1
parley.message.id=call-1
rpc.method=billing.v1.charge
rpc.response.status_code=ok
rpc.system.name=parley
server.address=billing
`)
}

// TestParents tells for each kind of span which of two spans is above it: the one of the context or the one that was
// given.
func TestParents(t *testing.T) {
	t.Parallel()
	const none, ofContext, given, root = "", "context", "given", "none"
	begin := map[string]func(*world, context.Context, *transport.Envelope) (context.Context, func(error)){
		"call": func(w *world, ctx context.Context, e *transport.Envelope) (context.Context, func(error)) {
			return w.Call(ctx, e, "s")
		},
		"send": func(w *world, ctx context.Context, e *transport.Envelope) (context.Context, func(error)) {
			return w.Send(ctx, e, "event")
		},
		"answer": func(w *world, ctx context.Context, e *transport.Envelope) (context.Context, func(error)) {
			return w.Answer(ctx, e)
		},
		"process": func(w *world, ctx context.Context, e *transport.Envelope) (context.Context, func(error)) {
			return w.Process(ctx, e, "g")
		},
		"run": func(w *world, ctx context.Context, e *transport.Envelope) (context.Context, func(error)) {
			return w.Run(ctx, "o", "a", 1, e.Trace)
		},
		"step": func(w *world, ctx context.Context, e *transport.Envelope) (context.Context, func(error)) {
			return w.Step(ctx, "o", "k", 1, e.Trace)
		},
	}
	for _, c := range []struct {
		kinds         string
		span, related bool // ctx has a span; of the trace that is given
		trace, want   string
	}{
		{"call send answer process run step", false, false, none, root},
		{"call send answer process run step", false, false, "00-nonsense", root},
		{"call send answer process run step", false, false, elsewhere, given},
		{"call send answer step", true, false, none, ofContext},
		{"process run", true, false, none, root},
		{"call send", true, false, elsewhere, ofContext},
		{"answer process run step", true, false, elsewhere, given},
		{"call send answer step", true, true, elsewhere, ofContext},
		{"process run", true, true, elsewhere, given},
	} {
		for kind := range strings.FieldsSeq(c.kinds) {
			w := newWorld(t)
			ctx := t.Context()
			if c.related {
				ctx = from(ctx, &transport.Envelope{Trace: elsewhere})
			}
			var outer trace.Span
			if c.span {
				ctx, outer = w.traces.Tracer("test").Start(ctx, "outer")
			}
			e := &transport.Envelope{ID: "1", Address: "a", Trace: c.trace}
			inner, end := begin[kind](w, ctx, e)
			end(nil)
			got := root
			switch s := w.ended()[0]; {
			case c.span && s.Parent().Equal(outer.SpanContext()):
				got = ofContext
			case s.Parent().IsValid() && strings.Contains(elsewhere, s.Parent().SpanID().String()) && s.Parent().IsRemote():
				got = given
			case s.Parent().IsValid():
				got = "unknown"
			}
			what := fmt.Sprintf("%s with a span in ctx %v, of the trace given %v, given %q", kind, c.span, c.related, c.trace)
			if got != c.want {
				t.Errorf("%s: parent = %s; want %s", what, got, c.want)
			}
			if sc := trace.SpanContextFromContext(inner); !sc.Equal(w.ended()[0].SpanContext()) {
				t.Errorf("%s: the context has span %v; want the one that began", what, sc.SpanID())
			}
			want := c.trace
			if kind == "call" || kind == "send" {
				sc := w.ended()[0].SpanContext()
				want = fmt.Sprintf("00-%s-%s-01", sc.TraceID(), sc.SpanID())
			}
			if e.Trace != want {
				t.Errorf("%s: Trace = %q after it; want %q", what, e.Trace, want)
			}
		}
	}
}

func TestWhatIsNotSampledIsNotSampledDownstream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	e := message("1", "a")
	_, end := w.Send(t.Context(), e, "event")
	end(nil)
	if !strings.HasSuffix(e.Trace, "-00") || len(e.Trace) != 55 {
		t.Errorf("Trace = %q; want a traceparent with flags 00", e.Trace)
	}
	if n := len(w.ended()); n != 0 {
		t.Errorf("%d spans were recorded; want 0", n)
	}
	if got := w.printed("messaging.client.sent"); !strings.HasSuffix(got, " 1\n") {
		t.Errorf("sent messages = %q; want 1: metrics are not sampled", got)
	}
}

func TestTracestateTravelsInAHeaderAndLeavesTheMapOfOthersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shared := map[string]string{"tracestate": "vendor=1", "tenant": "x"}
	got := message("1", "a")
	got.Trace, got.Headers = elsewhere, shared
	ctx, end := w.Process(t.Context(), got, "g")
	defer end(nil)
	sent := message("2", "b")
	own := map[string]string{"tenant": "y"}
	sent.Headers = own
	_, endSend := w.Send(ctx, sent, "event")
	endSend(nil)
	if sent.Headers["tracestate"] != "vendor=1" || sent.Headers["tenant"] != "y" {
		t.Errorf("headers = %v; want tracestate vendor=1 beside tenant y", sent.Headers)
	}
	if len(own) != 1 {
		t.Errorf("the map of the caller = %v; want it as it was", own)
	}
	full := message("3", "c")
	full.Headers = make(map[string]string)
	for i := range transport.MaxHeaders {
		full.Headers[fmt.Sprintf("h%d", i)] = "v"
	}
	_, endFull := w.Send(ctx, full, "event")
	endFull(nil)
	if err := full.Validate(); err != nil {
		t.Errorf("a message with as many headers as there may be: %v; want it to stay valid", err)
	}
}

func TestAServerSpanFailsOnlyForFailuresOfTheServer(t *testing.T) {
	t.Parallel()
	for code, fails := range map[transport.Code]bool{
		transport.InvalidArgument: false, transport.NotFound: false, transport.Canceled: false, transport.ResourceExhausted: false,
		transport.Internal: true, transport.Unavailable: true, transport.DeadlineExceeded: true, transport.Unknown: true, "made-up": true,
	} {
		w := newWorld(t)
		_, end := w.Answer(t.Context(), message("1", "a"))
		end(&transport.Error{Code: code, Name: "orders.v1.closed"})
		_, end = w.Call(t.Context(), message("2", "b"), "s")
		end(&transport.Error{Code: code})
		server, client := w.span("a"), w.span("b")
		if got := strings.Contains(attributes(server), "error.type="); got != fails {
			t.Errorf("a server that answers %s has failed = %v; want %v", code, got, fails)
		}
		if !strings.Contains(attributes(server), "parley.error.name=orders.v1.closed\n") {
			t.Errorf("attributes of a server's span = %s; want the name of the declared error", attributes(server))
		}
		if !strings.Contains(attributes(client), "error.type=") {
			t.Errorf("a client that gets %s has not failed; want it to", code)
		}
	}
}

func TestErrorsOfMessagesHaveAClassThatSaysWhatFollows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("send: %w: %w", transport.ErrNotSent, context.DeadlineExceeded), "not-sent"},
		{fmt.Errorf("send: %w", transport.ErrRefused), "refused"},
		{fmt.Errorf("handle: %w", context.DeadlineExceeded), "deadline-exceeded"},
		{context.Canceled, "canceled"},
		{fmt.Errorf("charge: %w", &transport.Error{Code: transport.NotFound}), "not-found"},
		{&transport.Error{Code: "made-up"}, "unknown"},
		{errors.New("order-1 is lost"), "_OTHER"},
	} {
		if got := classOf(c.err); got != c.want {
			t.Errorf("class of %v = %q; want %q", c.err, got, c.want)
		}
	}
}

func TestTextThatIsNoUTF8AndLongTextAreTamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := message("id\xff", "a\xff")
	_, end := w.Process(t.Context(), e, "g")
	end(errors.New(strings.Repeat("\xff", 10) + strings.Repeat("x", 5000)))
	s := w.ended()[0]
	text := s.Name() + attributes(s) + s.Status().Description
	if strings.ToValidUTF8(text, "!") != text {
		t.Errorf("a span has text that is no UTF-8: %q", text)
	}
	if n := len(s.Status().Description); n > 1100 {
		t.Errorf("the description of the status has %d bytes; want about 1024 at the most", n)
	}
	w.printed("") // must be readable too
	for _, m := range w.metrics() {
		if text := lines(m.attributes.ToSlice()); strings.ToValidUTF8(text, "!") != text {
			t.Errorf("a metric has labels that are no UTF-8: %q", text)
		}
	}
}

func TestANilTelemetryDoesNothing(t *testing.T) {
	t.Parallel()
	tel := made(t, Providers{})
	if tel != nil {
		t.Fatalf("New without providers = %v; want nil", tel)
	}
	ctx, e := t.Context(), message("1", "a")
	e.Trace = elsewhere
	for name, begin := range map[string]func() (context.Context, func(error)){
		"Call":    func() (context.Context, func(error)) { return tel.Call(ctx, e, "s") },
		"Answer":  func() (context.Context, func(error)) { return tel.Answer(ctx, e) },
		"Send":    func() (context.Context, func(error)) { return tel.Send(ctx, e, "event") },
		"Process": func() (context.Context, func(error)) { return tel.Process(ctx, e, "g") },
		"Run":     func() (context.Context, func(error)) { return tel.Run(ctx, "o", "a", 1, elsewhere) },
		"Step":    func() (context.Context, func(error)) { return tel.Step(ctx, "o", "k", 1, elsewhere) },
	} {
		inner, end := begin()
		end(errors.New("x"))
		if inner != ctx || e.Trace != elsewhere {
			t.Errorf("%s of a nil Telemetry changed the context or the envelope", name)
		}
	}
	if got := tel.Recorder(ledger.Discard); got != ledger.Discard {
		t.Errorf("Recorder of a nil Telemetry = %v; want the one it was given", got)
	}
	if tel.Handler(nil) != nil || tel.Caller(nil) != nil || tel.Breakers(nil) != nil {
		t.Error("a nil Telemetry wrapped something")
	}
}

func TestWithOneProviderTheOtherKindIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Telemetry = made(t, Providers{Tracer: w.traces})
	story(w)
	if n := len(w.ended()); n == 0 {
		t.Error("no spans with a Tracer alone")
	}
	if err := w.Breakers(func() []BreakerState { return nil }); err != nil {
		t.Errorf("Breakers without a Meter: %v; want nil", err)
	}
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	metered := made(t, Providers{Meter: meters})
	e := message("1", "a")
	e.Trace = elsewhere
	ctx, end := metered.Process(t.Context(), e, "g")
	caused := message("2", "b")
	_, endSend := metered.Send(ctx, caused, "event")
	endSend(nil)
	end(nil)
	if caused.Trace != elsewhere {
		t.Errorf("Trace of what a handler sends without a Tracer = %q; want the one that came, %q", caused.Trace, elsewhere)
	}
	w.reader, w.Telemetry = reader, metered
	if got := w.printed("messaging.client.sent"); got == "" {
		t.Error("no metrics with a Meter alone")
	}
}
