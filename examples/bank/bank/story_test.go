package bank

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/parleyotel"

	"github.com/parley-io/parley/examples/bank/loans"
)

// A loan's id shows all that it caused, in its trail and in one trace: the operation with its steps, the calls inside
// of them, the command to the clerk, the clerk's signal, the letter, and the event.
func TestOneTrailAndOneTraceTellTheWholeStoryOfALoan(t *testing.T) {
	received := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	sdk, err := parleyotel.Start(t.Context(), "bank")
	if err != nil {
		t.Fatal(err)
	}
	net, err := network.Open(t.Context(), "mem://", network.WithTelemetry(sdk.Providers()))
	if err != nil {
		t.Fatal(err)
	}
	quiet := parley.WithLogger(slog.New(slog.DiscardHandler))
	client, err := parley.NewClient("office", net, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, net, nil, Options{}) }()

	wanted := Cases()[2] // granted, after a clerk has signed
	id := parley.MessageID("loan-of-ada")
	if _, err := loans.Decide.Start(t.Context(), client, wanted.Application, parley.WithID(id)); err != nil {
		t.Fatal(err)
	}
	loan, err := loans.Decide.Execution(id).Wait(t.Context(), client)
	if err != nil || loan.Booked == "" {
		t.Fatalf("Wait = %+v, %v; want a loan", loan, err)
	}
	trail := settled(t, client, id)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := net.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := sdk.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}

	var hops []string
	for _, h := range trail.Hops {
		hops = append(hops, h.Style+" "+h.Address)
		if len(h.Receivers) > 0 && h.Style != ledger.StyleEvent && (h.Receivers[0].State != ledger.Handled && h.Receivers[0].State != ledger.Unsuccessful) {
			t.Errorf("%s %s: state %s; want it over", h.Style, h.Address, h.Receivers[0].State)
		}
	}
	for _, want := range []string{
		"operation loans.v1.decide", "step loans.v1.decide/credit", "call bureau.v1.score", "step loans.v1.decide/fraud", "call screening.v1.screen",
		"step loans.v1.decide/income", "call payroll.v1.income", "step loans.v1.decide/offers", "call lenders.v1.offer", "command clerks.v1.ask-to-sign",
		"step loans.v1.decide/signal:signed", "signal loans.v1.decide/signed", "step loans.v1.decide/payout", "call treasury.v1.pay",
		"step loans.v1.decide/booking", "call partner.v1.book", "command letters.v1.send-letter", "event loans.v1.decided",
	} {
		if !slices.Contains(hops, want) {
			t.Errorf("the trail has no %q; it has\n%s", want, strings.Join(hops, "\n"))
		}
	}

	names := received.of(trail.Hops[0].Trace)
	for _, want := range []string{
		"loans.v1.decide", "run loans.v1.decide", "step credit", "bureau.v1.score", "step fraud", "screening.v1.screen", "step income", "payroll.v1.income",
		"step offers", "lenders.v1.offer", "send clerks.v1.ask-to-sign", "process clerks.v1.ask-to-sign", "loans.v1.decide.act", "step payout", "treasury.v1.pay",
		"step booking", "partner.v1.book", "send letters.v1.send-letter", "process letters.v1.send-letter", "send loans.v1.decided", "process loans.v1.decided",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("the trace has no span %q; it has\n%s", want, strings.Join(names, "\n"))
		}
	}
}

// settled is the trail once nothing in it goes on.
func settled(t *testing.T, client *parley.Client, id parley.MessageID) parley.Trail {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		trail, err := client.Follow(t.Context(), id)
		if err == nil && trail.Settled {
			return trail
		}
		select {
		case <-limit:
			t.Fatalf("Follow = %+v, %v; want it settled", trail, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// receiver takes spans as OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var got collectortrace.ExportTraceServiceRequest
		if err != nil || q.URL.Path != "/v1/traces" || proto.Unmarshal(body, &got) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, of := range got.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// of are the names of the spans of a trace.
func (r *receiver) of(trace string) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if hex.EncodeToString(s.GetTraceId()) == trace {
			names = append(names, s.GetName())
		}
	}
	return names
}
