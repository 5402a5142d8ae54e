package parleyotel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/parley-io/parley/telemetry"
	"github.com/parley-io/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver takes OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	resource map[string]string // of the spans
	spans    map[string]*tracepb.Span
	metrics  map[string]bool
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{spans: make(map[string]*tracepb.Span), metrics: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, q *http.Request) {
		var got collectortrace.ExportTraceServiceRequest
		if !r.read(t, w, q, &got) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, rs := range got.GetResourceSpans() {
			r.resource = texts(rs.GetResource().GetAttributes())
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					r.spans[s.GetName()] = s
				}
			}
		}
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, q *http.Request) {
		var got collectormetrics.ExportMetricsServiceRequest
		if !r.read(t, w, q, &got) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, rm := range got.GetResourceMetrics() {
			for _, sm := range rm.GetScopeMetrics() {
				for _, m := range sm.GetMetrics() {
					r.metrics[m.GetName()] = true
				}
			}
		}
	})
	r.Server = httptest.NewServer(mux)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) read(t *testing.T, w http.ResponseWriter, q *http.Request, m proto.Message) bool {
	r.mu.Lock()
	r.requests++
	r.mu.Unlock()
	body, err := io.ReadAll(q.Body)
	if err == nil {
		err = proto.Unmarshal(body, m)
	}
	if err != nil {
		t.Errorf("%s got what is no OTLP: %v", q.URL.Path, err)
		w.WriteHeader(http.StatusBadRequest)
	}
	return err == nil
}

func texts(all []*commonpb.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, a := range all {
		m[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return m
}

// clean takes every variable of OpenTelemetry out of the environment of the test, and sets some.
func clean(t *testing.T, set ...string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for _, entry := range set {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
}

func start(t *testing.T, opts ...Option) *SDK {
	t.Helper()
	s, err := Start(t.Context(), "orders", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return s
}

// work sends one message and handles it.
func work(t *testing.T, s *SDK) *transport.Envelope {
	t.Helper()
	tel, err := telemetry.New(s.Providers(), "orders", "nats")
	if err != nil {
		t.Fatal(err)
	}
	e := &transport.Envelope{ID: "order-1\xff", Address: "orders.v1.place"}
	_, end := tel.Send(t.Context(), e, "command")
	end(nil)
	_, end = tel.Process(t.Context(), e, "orders.v1.place")
	end(errors.New("card declined"))
	return e
}

func page(t *testing.T, s *SDK, accept string) (contentType, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("GET /metrics = %d %s; want 200", w.Code, w.Body)
	}
	return w.Header().Get("Content-Type"), w.Body.String()
}

func TestSpansAndMetricsReachAnOTLPReceiver(t *testing.T) {
	r := newReceiver(t)
	clean(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
	s := start(t)
	e := work(t, s)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent, processed := r.spans["send orders.v1.place"], r.spans["process orders.v1.place"]
	if sent == nil || processed == nil {
		t.Fatalf("spans that arrived = %v; want send and process of orders.v1.place", r.spans)
	}
	if string(processed.GetTraceId()) != string(sent.GetTraceId()) || string(processed.GetParentSpanId()) != string(sent.GetSpanId()) {
		t.Error("the span that processes is not below the one that sends; want one trace")
	}
	if len(processed.GetLinks()) != 1 || string(processed.GetLinks()[0].GetSpanId()) != string(sent.GetSpanId()) {
		t.Errorf("links of the span that processes = %v; want one to the span that sends", processed.GetLinks())
	}
	if got := texts(sent.GetAttributes())["messaging.message.id"]; got != "order-1\uFFFD" {
		t.Errorf("messaging.message.id = %q; want the id with a replacement for what is no UTF-8", got)
	}
	if len(e.Trace) != 55 {
		t.Errorf("Trace = %q; want a traceparent", e.Trace)
	}
	if r.resource["service.name"] != "orders" || len(r.resource["service.instance.id"]) != 36 || r.resource["deployment.environment.name"] != "test" {
		t.Errorf("resource = %v; want service.name orders, an instance, and what the environment says", r.resource)
	}
	for _, name := range []string{"messaging.client.sent.messages", "messaging.process.duration"} {
		if !r.metrics[name] {
			t.Errorf("metrics that arrived = %v; want %s", r.metrics, name)
		}
	}
}

func TestTheEnvironmentNamesTheService(t *testing.T) {
	r := newReceiver(t)
	clean(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+r.URL+"/v1/traces", "OTEL_SERVICE_NAME=blue-orders")
	s := start(t)
	work(t, s)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.resource["service.name"] != "blue-orders" {
		t.Errorf("service.name = %q; want blue-orders, as OTEL_SERVICE_NAME says", r.resource["service.name"])
	}
	if len(r.metrics) > 0 {
		t.Errorf("metrics that arrived = %v; want none: the endpoint is that of traces", r.metrics)
	}
}

func TestWithoutVariablesNothingIsSentAndSpansCostNothing(t *testing.T) {
	clean(t)
	s := start(t)
	if p := s.Providers(); p.Tracer != nil || p.Meter == nil {
		t.Errorf("Providers = %v; want a Meter for /metrics and no Tracer", p)
	}
	work(t, s)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v; want nil: there is nothing to send", err)
	}
}

func TestWhichVariablesAskForWhat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ         string
		traces, metrics bool
	}{
		{"", false, false},
		{"OTEL_SERVICE_NAME=x OTEL_TRACES_SAMPLER=always_on", false, false},
		{"OTEL_TRACES_EXPORTER=console", true, false},
		{"OTEL_METRICS_EXPORTER=none", false, true}, // what it says is another question
		{"OTEL_TRACES_EXPORTER=", false, false},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://h", true, true},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", true, true},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://h", true, false},
		{"OTEL_EXPORTER_OTLP_METRICS_HEADERS=a=b", false, true},
		{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://h", false, false},
		{"OTEL_LOGS_EXPORTER=otlp", false, false},
	} {
		environ := strings.Fields(c.environ)
		if got := wanted(environ, "TRACES"); got != c.traces {
			t.Errorf("%q asks for traces = %v; want %v", c.environ, got, c.traces)
		}
		if got := wanted(environ, "METRICS"); got != c.metrics {
			t.Errorf("%q asks for metrics = %v; want %v", c.environ, got, c.metrics)
		}
	}
}

func TestNoneAndDisabledAreObeyed(t *testing.T) {
	r := newReceiver(t)
	clean(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL, "OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none")
	s := start(t)
	work(t, s)
	if p := s.Providers(); p.Tracer != nil {
		t.Error("with OTEL_TRACES_EXPORTER=none there is a Tracer; want none")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	disabled := start(t)
	if p := disabled.Providers(); p != (telemetry.Providers{}) {
		t.Errorf("Providers of a disabled SDK = %v; want none", p)
	}
	if _, body := page(t, disabled, ""); !strings.Contains(body, "go_goroutines") {
		t.Error("/metrics of a disabled SDK has nothing of the runtime")
	}
	if err := disabled.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if r.requests > 0 {
		t.Errorf("%d exports arrived; want 0", r.requests)
	}
}

func TestABadEnvironmentIsReportedAtOnce(t *testing.T) {
	clean(t, "OTEL_TRACES_EXPORTER=bogus", "OTEL_METRICS_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=smoke")
	s, err := Start(t.Context(), "")
	if err == nil || s != nil {
		t.Fatalf("Start = %v, %v; want an error", s, err)
	}
	for _, want := range []string{"bogus", "OTEL_METRICS_EXPORTER", "invalid OTLP protocol", "no name of a service"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	clean(t, "OTEL_TRACES_EXPORTER=bogus", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	if _, err := Start(t.Context(), "orders"); err == nil {
		t.Error("Start with a wrong exporter of traces and a right one of metrics = nil; want an error, and nothing left running")
	}
}

func TestAPageOfMetricsHasBucketsOrNativeHistograms(t *testing.T) {
	clean(t)
	s := start(t)
	work(t, s)
	_, text := page(t, s, "")
	for _, want := range []string{
		`messaging_process_duration_seconds_bucket{error_type="_OTHER",messaging_consumer_group_name="orders.v1.place",`,
		`le="0.005"`, `otel_scope_parley_service="orders"`, "messaging_client_sent_messages_total{", "go_goroutines", "go_build_info",
		`target_info{`, `service_name="orders"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %s:\n%s", want, text)
		}
	}
	contentType, body := page(t, s, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;q=0.3")
	decoder := expfmt.NewDecoder(strings.NewReader(body), expfmt.Format(contentType))
	native := false
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if f.GetName() == "messaging_process_duration_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			native = h.Schema != nil && h.GetSampleCount() == 1 && len(h.GetBucket()) == 0
		}
	}
	if !native {
		t.Errorf("messaging_process_duration_seconds in protobuf is no native histogram of 1 sample")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, text := page(t, s, ""); !strings.Contains(text, "go_goroutines") || strings.Contains(text, "messaging_") {
		t.Error("after Shutdown the page is not that of the runtime alone")
	}
}

func TestGlobalsAreSetOnlyWhenAsked(t *testing.T) {
	r := newReceiver(t)
	clean(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+r.URL)
	traces, meters, propagator := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetTextMapPropagator()
	start(t)
	if otel.GetTracerProvider() != traces || otel.GetMeterProvider() != meters {
		t.Error("Start changed a global provider; want them left alone")
	}
	defer func() {
		otel.SetTracerProvider(traces)
		otel.SetMeterProvider(meters)
		otel.SetTextMapPropagator(propagator)
	}()
	s := start(t, Global())
	p := s.Providers()
	if otel.GetTracerProvider() != p.Tracer || otel.GetMeterProvider() != p.Meter {
		t.Error("with Global the global providers are others; want those of the SDK")
	}
	if got := strings.Join(otel.GetTextMapPropagator().Fields(), " "); !strings.Contains(got, "traceparent") || !strings.Contains(got, "baggage") {
		t.Errorf("the global propagator writes %q; want traceparent and baggage", got)
	}
}

func TestShutdownTwiceIsFineAndSaysWhatIsLost(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		clean(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol) // nobody listens there
		s := start(t)
		work(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // no time to repeat
		if err := s.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "may be lost") {
			t.Errorf("%s: Shutdown without a receiver = %v; want an error that says what is lost", protocol, err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("%s: the second Shutdown = %v; want nil", protocol, err)
		}
	}
}
