package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// network is a Caller over HTTP with one callee, who answers with what answer says.
type network struct {
	transport.Caller
	server http.Handler
}

func (n network) Request(_ context.Context, _ string, e *transport.Envelope) (*transport.Envelope, error) {
	r := httptest.NewRequest(http.MethodPost, "http://10.0.0.7:8080/"+strings.ReplaceAll(e.Address, ".", "/"), nil)
	r.Header.Set("Traceparent", e.Trace)
	w := httptest.NewRecorder()
	n.server.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return nil, &transport.Error{Code: transport.Unavailable, Message: "busy", Address: e.Address, ID: e.ID}
	}
	return &transport.Envelope{}, nil
}

// pages serves one call, as transport/http does: the envelope has the traceparent of the request.
func pages(t *Telemetry, pattern string, answer func(context.Context, *transport.Envelope) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		e := message("call-1", "billing.v1.charge")
		e.Causation, e.Trace = "order-1", r.Header.Get("Traceparent")
		ctx, end := t.Answer(r.Context(), e)
		err := answer(ctx, e)
		end(err)
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return t.Handler(mux)
}

// story is a message whose handler makes a call that is repeated, sends an event, and fails until it is given up; then
// it is redriven and starts an operation of two steps. It returns the ids that it used.
func story(w *world) (ids []string) {
	rec := w.Recorder(ledger.Discard)
	order := message("order-1", "orders.v1.place")
	order.Key = "customer-7"
	_, end := w.Send(w.t.Context(), order, "command")
	end(nil)

	record := func(kind ledger.Kind, attempt int, until time.Time, reason string) {
		t := ledger.Of(kind, "command", order)
		t.Service, t.Instance, t.Group, t.Attempt, t.Until, t.Reason = "shop", "shop-instance-1", "orders.v1.place", attempt, until, reason
		rec.Record(t, nil)
	}
	tries := 0
	server := pages(w.Telemetry, "POST /billing/v1/charge", func(context.Context, *transport.Envelope) error {
		if tries++; tries == 1 {
			return &transport.Error{Code: transport.Unavailable, Message: "busy"}
		}
		return nil
	})
	calls := w.Caller(network{server: server})
	handle := func(ctx context.Context) {
		charge := message("call-1", "billing.v1.charge")
		charge.Correlation, charge.Causation, charge.Trace = "order-1", "order-1", order.Trace
		ctx2, end := w.Call(ctx, charge, "billing")
		for n := 1; ; n++ {
			attempt := *charge
			attempt.Attempt = n
			if _, err := calls.Request(ctx2, "http://10.0.0.7:8080", &attempt); err == nil {
				break
			}
		}
		end(nil)
		placed := message("event-1", "orders.v1.placed")
		placed.Correlation, placed.Causation = "order-1", "order-1"
		_, end = w.Send(ctx, placed, "event")
		end(nil)
	}
	record(ledger.Accepted, 1, time.Time{}, "")
	attempt := func(n int, err error) {
		record(ledger.Received, n, time.Time{}, "")
		tried := *order
		tried.Attempt = n
		ctx, end := w.Process(w.t.Context(), &tried, "orders.v1.place")
		if err == nil {
			handle(ctx)
		}
		end(err)
	}
	attempt(1, errors.New("card declined"))
	record(ledger.Failed, 1, time.Time{}, "card declined")
	record(ledger.Delayed, 1, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), "")
	order.Copy = "a2"
	attempt(2, errors.New("card declined"))
	record(ledger.Failed, 2, time.Time{}, "card declined")
	record(ledger.DeadLettered, 2, time.Time{}, "card declined")
	order.Copy = "r1"
	record(ledger.Redriven, 0, time.Time{}, "")
	attempt(1, nil)
	record(ledger.Done, 1, time.Time{}, "")

	run, endRun := w.Run(context.Background(), "loan-1", "loans.v1.decide", 2, order.Trace)
	_, endStep := w.Step(run, "loan-1", "credit#1", 1, order.Trace)
	endStep(nil)
	endRun(nil)
	_, endUndo := w.Step(context.Background(), "loan-1", "undo:payout", 2, order.Trace)
	endUndo(&transport.Error{Code: transport.Unavailable, Message: "bank away"})
	return []string{"order-1", "call-1", "event-1", "loan-1", "customer-7", "shop-instance-1", "credit#1", "undo:payout", "credit",
		order.Trace[3:35], order.Trace[36:52]}
}

func TestAStoryIsOneTraceWithItsRetriesDeadLetterAndRedrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	story(w)
	wantText(t, "trace", w.tree(), `
producer send orders.v1.place
  consumer process orders.v1.place ~ send orders.v1.place ! card declined
  client delay orders.v1.place
  consumer process orders.v1.place ~ send orders.v1.place ! card declined
  client dead-letter orders.v1.place ! card declined
  producer redrive orders.v1.place ~ send orders.v1.place
  consumer process orders.v1.place ~ send orders.v1.place
    client billing.v1.charge
      client POST /billing/v1/charge ! billing.v1.charge: unavailable: busy
        server POST /billing/v1/charge ! 
          server billing.v1.charge ! unavailable: busy
      client POST /billing/v1/charge
        server POST /billing/v1/charge
          server billing.v1.charge
    producer send orders.v1.placed
  internal run loans.v1.decide
    internal step credit
  internal step undo:payout ! unavailable: bank away
`)
	trace := w.ended()[0].SpanContext().TraceID()
	for _, s := range w.ended() {
		if got := s.SpanContext().TraceID(); got != trace {
			t.Errorf("span %q is of trace %s; want %s, that of its story", s.Name(), got, trace)
		}
		if a := s.InstrumentationScope().Attributes; a.Len() != 1 || !strings.Contains(lines(a.ToSlice()), "parley.service=shop") {
			t.Errorf("scope of span %q = %v; want parley.service=shop", s.Name(), a.ToSlice())
		}
	}
}

func TestMetricsOfAStoryHaveTheNamesOfTheConventions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	story(w)
	var b strings.Builder
	for _, s := range w.metrics() {
		fmt.Fprintln(&b, s)
		if s.unit == "s" && (len(s.bounds) != 14 || s.bounds[0] != .005 || s.bounds[13] != 10) {
			t.Errorf("boundaries of %s = %v; want the 14 of the conventions, from 5 ms to 10 s", s.name, s.bounds)
		}
	}
	wantText(t, "metrics", b.String(), `
http.client.request.duration{error.type=unavailable http.request.method=POST server.address=10.0.0.7 server.port=8080 url.template=/billing/v1/charge} s 1
http.client.request.duration{http.request.method=POST http.response.status_code=200 server.address=10.0.0.7 server.port=8080 url.template=/billing/v1/charge} s 1
http.server.request.duration{error.type=503 http.request.method=POST http.response.status_code=503 http.route=/billing/v1/charge network.protocol.version=1.1 url.scheme=http} s 1
http.server.request.duration{http.request.method=POST http.response.status_code=200 http.route=/billing/v1/charge network.protocol.version=1.1 url.scheme=http} s 1
messaging.client.consumed.messages{error.type=_OTHER messaging.consumer.group.name=orders.v1.place messaging.destination.name=orders.v1.place messaging.operation.name=process messaging.system=nats} {message} 2
messaging.client.consumed.messages{messaging.consumer.group.name=orders.v1.place messaging.destination.name=orders.v1.place messaging.operation.name=process messaging.system=nats} {message} 1
messaging.client.operation.duration{messaging.destination.name=orders.v1.place messaging.operation.name=send messaging.operation.type=send messaging.system=nats} s 1
messaging.client.operation.duration{messaging.destination.name=orders.v1.placed messaging.operation.name=send messaging.operation.type=send messaging.system=nats} s 1
messaging.client.sent.messages{messaging.destination.name=orders.v1.place messaging.operation.name=send messaging.system=nats} {message} 1
messaging.client.sent.messages{messaging.destination.name=orders.v1.placed messaging.operation.name=send messaging.system=nats} {message} 1
messaging.process.duration{error.type=_OTHER messaging.consumer.group.name=orders.v1.place messaging.destination.name=orders.v1.place messaging.operation.name=process messaging.system=nats} s 2
messaging.process.duration{messaging.consumer.group.name=orders.v1.place messaging.destination.name=orders.v1.place messaging.operation.name=process messaging.system=nats} s 1
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=accepted} {transition} 1
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=dead-lettered} {transition} 1
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=delayed} {transition} 1
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=done} {transition} 1
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=failed} {transition} 2
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=received} {transition} 2
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=redriven} {transition} 1
parley.transitions{parley.address=orders.v1.place parley.receiver=orders.v1.place parley.style=command parley.transition=retried} {transition} 1
rpc.client.call.duration{rpc.method=billing.v1.charge rpc.response.status_code=ok rpc.system.name=parley server.address=billing} s 1
rpc.server.call.duration{error.type=unavailable rpc.method=billing.v1.charge rpc.response.status_code=unavailable rpc.system.name=parley} s 1
rpc.server.call.duration{rpc.method=billing.v1.charge rpc.response.status_code=ok rpc.system.name=parley} s 1
`)
}

func TestNoMetricHasAnIDAsALabel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := story(w)
	busy := func(n int) {
		id, wild := fmt.Sprintf("id-%d", n), fmt.Sprintf("wild.v%d", n)
		e := message(id, wild)
		e.Correlation, e.Causation, e.Key = id+"c", id+"k", id+"y"
		ids = append(ids, id, e.Correlation, e.Causation, e.Key, id+"g")
		for _, begin := range []func() (context.Context, func(error)){
			func() (context.Context, func(error)) { return w.Send(t.Context(), e, "event") },
			func() (context.Context, func(error)) { return w.Process(t.Context(), e, "group"+wild) },
			func() (context.Context, func(error)) { return w.Call(t.Context(), e, "service"+wild) },
			func() (context.Context, func(error)) { return w.Answer(t.Context(), e) },
		} {
			_, end := begin()
			end(&transport.Error{Code: transport.Code(wild), Name: id, Message: id})
		}
		n1 := ledger.Of(ledger.Kind(wild), wild, e)
		n1.Group, n1.By, n1.Service, n1.Instance, n1.Reason = "group"+wild, id, "shop", id+"g", id
		w.Recorder(ledger.Discard).Record(n1, nil)
		r := httptest.NewRequest("X"+strings.ToUpper(wild[:4]), "/"+id, nil)
		w.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		_, _ = w.Caller(network{server: http.NotFoundHandler()}).Request(t.Context(), "http://10.0.0.7:8080", e)
	}
	for n := range 2 * namesKept {
		busy(n)
	}
	used := make(map[string]bool)
	for _, id := range ids {
		used[id] = true
	}
	values := make(map[string]map[string]bool)
	for _, s := range w.metrics() {
		for _, a := range s.attributes.ToSlice() {
			if v := a.Value.String(); used[v] {
				t.Errorf("metric %s has the id %q in %s; want no id in any label", s.name, v, a.Key)
			}
			if values[string(a.Key)] == nil {
				values[string(a.Key)] = make(map[string]bool)
			}
			values[string(a.Key)][a.Value.String()] = true
		}
	}
	if len(values) < 15 {
		t.Errorf("labels seen: %d; want at least 15, else this test has not seen what is there", len(values))
	}
	for key, v := range values {
		if len(v) > namesKept+1 {
			t.Errorf("label %s has %d values after %d names; want at most %d", key, len(v), 2*namesKept, namesKept+1)
		}
	}
	for _, key := range []string{"messaging.destination.name", "rpc.method", "parley.address"} {
		if !values[key][other] {
			t.Errorf("label %s has no %s after %d names", key, other, 2*namesKept)
		}
	}
}
