package parleyotel

import (
	"errors"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// pages are the same metrics twice. A histogram of the SDK is either native or has buckets, and what Prometheus gets
// is decided by the format it asks for: only protobuf carries native ones.
type pages struct {
	classic, native *prometheus.Registry
	text, protobuf  http.Handler
}

func newPages() *pages {
	p := &pages{classic: prometheus.NewRegistry(), native: prometheus.NewRegistry()}
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
	} {
		p.classic.MustRegister(c)
		p.native.MustRegister(c)
	}
	p.text = promhttp.HandlerFor(p.classic, promhttp.HandlerOpts{EnableOpenMetrics: true})
	p.protobuf = promhttp.HandlerFor(p.native, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return p
}

// readers collect for the pages.
func (p *pages) readers() ([]sdkmetric.Reader, error) {
	classic, err := promexporter.New(promexporter.WithRegisterer(p.classic))
	native, err2 := promexporter.New(promexporter.WithRegisterer(p.native), promexporter.WithAggregationSelector(exponential))
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return []sdkmetric.Reader{classic, native}, nil
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "application/vnd.google.protobuf") {
		p.protobuf.ServeHTTP(w, r)
		return
	}
	p.text.ServeHTTP(w, r)
}

// exponential is the default but for histograms: 160 buckets at the most, which find their scale; 8 is the finest that
// Prometheus takes.
func exponential(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	if kind == sdkmetric.InstrumentKindHistogram {
		return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 8}
	}
	return sdkmetric.DefaultAggregationSelector(kind)
}
