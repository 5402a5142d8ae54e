package transport_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

// full is an envelope without an empty field.
func full() *transport.Envelope {
	return &transport.Envelope{
		ID: "m1", Source: "orders", Address: "orders.v1.cancel-order", Key: "o 7", ContentType: "application/json",
		Copy: "a4", Group: "mail", Correlation: "c1", Causation: "c2",
		Trace:     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Time:      time.Date(2026, 11, 22, 10, 11, 12, 13, time.UTC),
		NotBefore: time.Date(2027, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)),
		Lifetime:  90 * time.Second, Attempt: 4,
		Headers: map[string]string{"tenant": "ümlaut", "empty": ""},
	}
}

func TestAttributesComeInAFixedOrderWithoutEmptyOnes(t *testing.T) {
	t.Parallel()
	list := func(e *transport.Envelope) (got []string) {
		for name, value := range e.Attributes {
			got = append(got, name+"="+value)
		}
		return got
	}
	e := full()
	e.Headers = map[string]string{"tenant": ""}
	want := []string{
		"specversion=1.0", "id=m1", "source=orders", "type=orders.v1.cancel-order", "subject=o 7", "time=2026-11-22T10:11:12.000000013Z",
		"datacontenttype=application/json", "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"correlationid=c1", "causationid=c2", "parleycopy=a4", "parleygroup=mail",
		"parleynotbefore=2026-12-31T23:00:00Z", "parleylifetime=90000", "parleyattempt=4", "tenant=",
	}
	if got := list(e); !slices.Equal(got, want) {
		t.Errorf("Attributes = %q, want %q", got, want)
	}
	want = []string{"specversion=1.0", "id=m1", "source=unknown", "type=a"}
	if got := list(&transport.Envelope{ID: "m1", Address: "a"}); !slices.Equal(got, want) {
		t.Errorf("Attributes = %q, want %q", got, want)
	}
}

func TestAttributesStopWhenTheReaderDoes(t *testing.T) {
	t.Parallel()
	for stop := 1; stop <= 17; stop++ { // at each of the 15 attributes and 2 headers of full
		n := 0
		for range full().Attributes {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("Attributes yielded %d times, want %d", n, stop)
		}
	}
}

func TestSetAttributeRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"specversion":     {"", "0.3", "2.0", "1.01"},
		"time":            {"", "yesterday", "2026-11-22", "2026-11-22 10:11:12Z"},
		"parleynotbefore": {"tomorrow"},
		"parleylifetime":  {"", "-1", "1.5", "1e3", "9223372036855", "99999999999999999999"},
		"parleyattempt":   {"-1", "many", "1073741825"},
	} {
		for _, value := range values {
			var e transport.Envelope
			err := e.SetAttribute(name, value)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("SetAttribute(%s, %q) = %v, want an error that names the attribute", name, value, err)
			}
		}
	}
	var e transport.Envelope
	for name, value := range map[string]string{"specversion": "1.0.2", "parleylifetime": "9223372036854", "parleyattempt": "1073741824"} {
		if err := e.SetAttribute(name, value); err != nil {
			t.Errorf("SetAttribute(%s, %s) = %v, want nil", name, value, err)
		}
	}
	if e.Lifetime <= 0 || e.Attempt != 1<<30 || e.Headers != nil {
		t.Errorf("envelope = %+v, want the largest lifetime and attempt and no headers", e)
	}
}

func TestEscapedAttributesAreThoseOfTheHTTPBinding(t *testing.T) {
	t.Parallel()
	for plain, escaped := range map[string]string{
		"":              "",
		"visible!~":     "visible!~",
		"a b":           "a%20b",
		`"100%"`:        "%22100%25%22",
		"Euro € 😀":      "Euro%20%E2%82%AC%20%F0%9F%98%80", // the example of the CloudEvents HTTP binding, section 3.1.3.2
		"\r\n\x00\x7f":  "%0D%0A%00%7F",
		"plus+and/path": "plus+and/path",
	} {
		if got := transport.EscapeAttribute(plain); got != escaped {
			t.Errorf("EscapeAttribute(%q) = %q, want %q", plain, got, escaped)
		}
	}
	for _, malformed := range []string{"%", "a%2", "%zz", "%%20"} {
		if got, err := transport.UnescapeAttribute(malformed); err == nil {
			t.Errorf("UnescapeAttribute(%q) = %q, nil; want an error", malformed, got)
		}
	}
}

func FuzzEscapeAttributeIsUndone(f *testing.F) {
	for _, s := range []string{"", "a b", "100%", "ü", "\x00\xff", "%41", "a+b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := transport.EscapeAttribute(s)
		for i := range len(escaped) {
			if c := escaped[i]; c <= ' ' || c > '~' || c == '"' {
				t.Errorf("EscapeAttribute(%q) = %q, want visible ASCII without quotes", s, escaped)
			}
		}
		if back, err := transport.UnescapeAttribute(escaped); err != nil || back != s {
			t.Errorf("UnescapeAttribute(%q) = %q, %v; want %q", escaped, back, err, s)
		}
	})
}

// carry brings e over a wire of attributes.
func carry(t *testing.T, e *transport.Envelope) *transport.Envelope {
	t.Helper()
	got := &transport.Envelope{Body: e.Body}
	for name, value := range e.Attributes {
		value, err := transport.UnescapeAttribute(transport.EscapeAttribute(value))
		if err == nil {
			err = got.SetAttribute(name, value)
		}
		if err != nil {
			t.Fatalf("attribute %s of a valid envelope: %v", name, err)
		}
	}
	return got
}

// same compares what a wire keeps: moments, and lifetimes in milliseconds.
// same compares messages; an Attempt of 0 is the first one, as 1 is.
func same(a, b *transport.Envelope) bool {
	if !a.Time.Equal(b.Time) || !a.NotBefore.Equal(b.NotBefore) || a.Lifetime.Milliseconds() != b.Lifetime.Milliseconds() ||
		!maps.Equal(a.Headers, b.Headers) || string(a.Body) != string(b.Body) {
		return false
	}
	return a.ID == b.ID && a.Source == b.Source && a.Address == b.Address && a.Key == b.Key && a.ContentType == b.ContentType &&
		a.Copy == b.Copy && a.Group == b.Group && a.Correlation == b.Correlation && a.Causation == b.Causation &&
		a.Trace == b.Trace && max(a.Attempt, 1) == max(b.Attempt, 1)
}

func TestAFullEnvelopeSurvivesTheWire(t *testing.T) {
	t.Parallel()
	e := full()
	if err := e.Validate(); err != nil {
		t.Fatalf("Validate = %v, want nil", err)
	}
	if got := carry(t, e); !same(got, e) {
		t.Errorf("after the wire %+v, want %+v", got, e)
	}
}

func FuzzAValidEnvelopeSurvivesTheWire(f *testing.F) {
	f.Add("m1", "orders", "orders.v1.cancel", "key", "text/plain", "a4", "mail", "trace", "tenant", "value", int64(1), int64(5), uint16(3))
	f.Add("m1", "orders", "x", "", "", "", "", "", "n", "", int64(0), int64(0), uint16(1))
	f.Add("%41", "a b", "x", "ü", "", "", "", "", "n", "", int64(0), int64(0), uint16(0))
	f.Fuzz(func(t *testing.T, id, source, address, key, content, twin, group, trace, header, value string, nanos, millis int64, attempt uint16) {
		e := &transport.Envelope{
			ID: id, Source: source, Address: address, Key: key, ContentType: content, Copy: twin, Group: group,
			Correlation: key, Causation: source, Trace: trace, Attempt: int(attempt), Headers: map[string]string{header: value},
		}
		if nanos != 0 {
			e.Time = time.Unix(0, nanos)
			e.NotBefore = time.Unix(0, -nanos)
		}
		e.Lifetime = time.Duration(millis&(1<<40-1)) * time.Millisecond
		if e.Validate() != nil {
			return
		}
		if e.Source == "" {
			e.Source = "unknown" // as CloudEvents has it
		}
		if got := carry(t, e); !same(got, e) {
			t.Errorf("after the wire %+v, want %+v", got, e)
		}
	})
}

func FuzzSetAttributeNeverPanics(f *testing.F) {
	for _, name := range []string{"specversion", "id", "time", "parleylifetime", "parleyattempt", "parleynotbefore", "tenant"} {
		f.Add(name, "1.0")
		f.Add(name, "2026-11-22T10:11:12Z")
		f.Add(name, strings.Repeat("9", 100))
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		var e transport.Envelope
		if err := e.SetAttribute(name, value); err == nil && (e.Lifetime < 0 || e.Attempt < 0) {
			t.Errorf("SetAttribute(%q, %q) gave lifetime %v and attempt %d, want an error", name, value, e.Lifetime, e.Attempt)
		}
	})
}
