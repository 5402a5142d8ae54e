package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Telemetry whose spans and metrics are kept.
type world struct {
	*Telemetry
	t      *testing.T
	spans  *tracetest.SpanRecorder
	traces *sdktrace.TracerProvider
	reader *sdkmetric.ManualReader
}

func newWorld(t *testing.T, options ...sdktrace.TracerProviderOption) *world {
	t.Helper()
	w := &world{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	w.traces = sdktrace.NewTracerProvider(append(options, sdktrace.WithSpanProcessor(w.spans))...)
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.reader))
	t.Cleanup(func() {
		_ = w.traces.Shutdown(context.Background())
		_ = meters.Shutdown(context.Background())
	})
	w.Telemetry = made(t, Providers{Tracer: w.traces, Meter: meters})
	return w
}

func made(t testing.TB, p Providers) *Telemetry {
	t.Helper()
	tel, err := New(p, "shop", "nats")
	if err != nil {
		t.Fatal(err)
	}
	return tel
}

// ended are the spans so far, in the order in which they ended.
func (w *world) ended() []sdktrace.ReadOnlySpan { return w.spans.Ended() }

// span is the one of a name.
func (w *world) span(name string) sdktrace.ReadOnlySpan {
	w.t.Helper()
	for _, s := range w.ended() {
		if s.Name() == name {
			return s
		}
	}
	w.t.Fatalf("no span %q among\n%s", name, w.tree())
	return nil
}

// tree is all spans below each other, in the order in which they began.
func (w *world) tree() string {
	all := slices.Clone(w.ended())
	slices.SortStableFunc(all, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	names := make(map[trace.SpanID]string)
	for _, s := range all {
		names[s.SpanContext().SpanID()] = s.Name()
	}
	var b strings.Builder
	var below func(parent trace.SpanID, depth int)
	below = func(parent trace.SpanID, depth int) {
		for _, s := range all {
			if s.Parent().SpanID() != parent && (depth > 0 || names[s.Parent().SpanID()] != "") {
				continue
			}
			fmt.Fprintf(&b, "%s%s %s", strings.Repeat("  ", depth), s.SpanKind(), s.Name())
			for _, l := range s.Links() {
				fmt.Fprintf(&b, " ~ %s", cmp.Or(names[l.SpanContext.SpanID()], "unknown"))
			}
			if s.Status().Code == codes.Error {
				fmt.Fprintf(&b, " ! %s", s.Status().Description)
			}
			b.WriteString("\n")
			below(s.SpanContext().SpanID(), depth+1)
		}
	}
	below(trace.SpanID{}, 0)
	return b.String()
}

// attributes are those of a span, one a line, sorted.
func attributes(s sdktrace.ReadOnlySpan) string { return lines(s.Attributes()) }

func lines(all []attribute.KeyValue) string {
	var out []string
	for _, a := range all {
		out = append(out, fmt.Sprintf("%s=%s\n", a.Key, a.Value.String()))
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// series is one time series: what it is, and how much it has counted.
type series struct {
	name, unit string
	attributes attribute.Set
	n          int64
	bounds     []float64
}

// metrics are all series of all metrics, sorted.
func (w *world) metrics() []series {
	w.t.Helper()
	var got metricdata.ResourceMetrics
	if err := w.reader.Collect(w.t.Context(), &got); err != nil {
		w.t.Fatal(err)
	}
	var all []series
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					all = append(all, series{m.Name, m.Unit, p.Attributes, int64(p.Count), p.Bounds})
				}
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					all = append(all, series{m.Name, m.Unit, p.Attributes, p.Value, nil})
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					all = append(all, series{m.Name, m.Unit, p.Attributes, p.Value, nil})
				}
			default:
				w.t.Fatalf("metric %s is a %T, which this test can't read", m.Name, d)
			}
		}
	}
	slices.SortFunc(all, func(a, b series) int { return strings.Compare(a.String(), b.String()) })
	return all
}

func (s series) String() string {
	return fmt.Sprintf("%s{%s} %s %d", s.name, strings.ReplaceAll(strings.TrimSuffix(lines(s.attributes.ToSlice()), "\n"), "\n", " "), s.unit, s.n)
}

// printed are the series of a metric, one a line.
func (w *world) printed(prefix string) string {
	w.t.Helper()
	var b strings.Builder
	for _, s := range w.metrics() {
		if strings.HasPrefix(s.name, prefix) {
			fmt.Fprintln(&b, s)
		}
	}
	return b.String()
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if want = strings.TrimLeft(want, "\n"); got != want {
		t.Errorf("%s =\n%s\nwant\n%s", what, got, want)
	}
}

func message(id, address string) *transport.Envelope {
	return &transport.Envelope{ID: id, Address: address, Source: "shop", Body: []byte("{}"), Attempt: 1}
}
