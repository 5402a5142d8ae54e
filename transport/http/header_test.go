package http

import (
	"bufio"
	"maps"
	nethttp "net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func whole() *transport.Envelope {
	return &transport.Envelope{
		ID: `a"%b`, Source: "shop", Address: "orders.v1.get-quote", Key: "kéy with spaces", ContentType: "application/protobuf",
		Copy: "r1", Group: "mail", Correlation: "c", Causation: "d", Trace: trace,
		Time: time.Date(2026, 11, 22, 10, 0, 0, 123, time.UTC), NotBefore: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		Lifetime: 1500 * time.Millisecond, Attempt: 3,
		Headers: map[string]string{"x": "", "tenant": " ünïcode ", "tracestate": "a=b", "baggage": "k=v,l=w", "n1": strings.Repeat("x", 8<<10)},
	}
}

func TestAnEnvelopeCrossesInARequest(t *testing.T) {
	t.Parallel()
	want := whole()
	head := append(appendEnvelope([]byte("POST / HTTP/1.1\r\nHost: a\r\n"), want), "\r\n"...)
	r, err := nethttp.ReadRequest(bufio.NewReader(strings.NewReader(string(head))))
	if err != nil {
		t.Fatalf("ReadRequest(%q) = %v; want a request", head, err)
	}
	got := &transport.Envelope{ContentType: contentType(r.Header)}
	if err := readAttributes(r.Header, got); err != nil {
		t.Fatalf("readAttributes = %v; want none", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for key, value := range map[string]string{"Traceparent": trace, "Tracestate": "a=b", "Baggage": "k=v,l=w", "Retry-Attempt": "2", "Ce-Specversion": "1.0"} {
		if got := r.Header.Get(key); got != value {
			t.Errorf("header %s = %q; want %q", key, got, value)
		}
	}
}

func TestAnEnvelopeCrossesInAnAnswer(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]*transport.Envelope{
		"an event":     whole(),
		"only a body":  {ContentType: jsonType},
		"only headers": {ContentType: jsonType, Headers: map[string]string{"x": "y"}},
	} {
		h := make(nethttp.Header)
		setEnvelope(h, want)
		got := &transport.Envelope{ContentType: contentType(h)}
		if err := readAttributes(h, got); err != nil {
			t.Fatalf("%s: readAttributes(%v) = %v; want none", name, h, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, want)
		}
		if _, event := h["Ce-Specversion"]; event != (want.ID != "") {
			t.Errorf("%s: an event: %v; want that only of an answer with an ID", name, event)
		}
	}
}

func TestTheTraceOfTheNearestHopWins(t *testing.T) {
	t.Parallel()
	other := strings.Replace(trace, "4bf9", "0000", 1)
	for _, x := range []struct{ standard, attribute, want string }{
		{trace, "", trace},
		{"", trace, trace},
		{other, trace, other},
		{"malformed", trace, trace},
		{"malformed", "", ""},
		{strings.ToUpper(trace), "", ""},
		{trace + "-more", "", ""},
	} {
		e, h := &transport.Envelope{}, make(nethttp.Header)
		if x.standard != "" {
			h.Set("Traceparent", x.standard)
		}
		if x.attribute != "" {
			h.Set("Ce-Traceparent", x.attribute)
		}
		if err := readAttributes(h, e); err != nil || e.Trace != x.want {
			t.Errorf("traceparent %q, ce-traceparent %q: Trace = %q, %v; want %q", x.standard, x.attribute, e.Trace, err, x.want)
		}
	}
}

func FuzzNothingInAnEnvelopeBreaksALine(f *testing.F) {
	f.Add("id", "key", "text/plain", "name", "value\r\nX-Evil: 1", "a=b", "corr")
	f.Add("%", "%41", "a\tb", "n0", "\x7f\u0085", "\r", "\n\n")
	f.Fuzz(func(t *testing.T, id, key, contentType, name, value, baggage, correlation string) {
		e := &transport.Envelope{
			ID: id, Address: "a.b", Key: key, ContentType: contentType, Correlation: correlation,
			Headers: map[string]string{name: value, "baggage": baggage},
		}
		if e.Validate() != nil {
			return // Request refuses it
		}
		head := append(appendEnvelope([]byte("POST / HTTP/1.1\r\nHost: a\r\n"), e), "\r\n"...)
		r, err := nethttp.ReadRequest(bufio.NewReader(strings.NewReader(string(head))))
		if err != nil {
			t.Fatalf("ReadRequest(%q) = %v; want a request", head, err)
		}
		for k := range r.Header {
			if k != "Content-Type" && k != "Baggage" && k != "Tracestate" && !strings.HasPrefix(k, "Ce-") {
				t.Errorf("header %q in %q; want only those of the envelope", k, head)
			}
		}
		got := &transport.Envelope{}
		if err := readAttributes(r.Header, got); err != nil {
			t.Fatalf("readAttributes(%q) = %v; want none", head, err)
		}
		same := func(k, v string) bool { return k == "baggage" || k == "tracestate" } // blanks around the standard's are not kept
		maps.DeleteFunc(got.Headers, same)
		maps.DeleteFunc(e.Headers, same)
		if got.ID != e.ID || got.Key != e.Key || got.Correlation != e.Correlation || !maps.Equal(got.Headers, e.Headers) {
			t.Errorf("got  %+v\nwant %+v", got, e)
		}
	})
}
