package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestAnEnvelopeComesBackAsItWas(t *testing.T) {
	t.Parallel()
	e := &transport.Envelope{
		ID: "id%41", Source: "Grüße", Address: "orders.v1.placed", Key: " k ", ContentType: "text/plain; charset=utf-8", Copy: "a4", Group: "g",
		Correlation: "c", Causation: "b", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Time: time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC), NotBefore: time.Date(2101, 2, 3, 4, 5, 6, 7, time.UTC),
		Lifetime: 90 * time.Minute, Attempt: 3, Headers: map[string]string{"empty": "", "u": "世界 🎉"}, Body: []byte{0, 255},
	}
	r := encode(e)
	if string(r.Key) != e.Key {
		t.Errorf("record's key = %q; want %q", r.Key, e.Key)
	}
	for _, d := range transporttest.Differences(e, decode(e.Address, r)) {
		t.Error(d)
	}
	if r := encode(&transport.Envelope{ID: "i", Address: "a"}); r.Value == nil || r.Key != nil {
		t.Errorf("record of an envelope without key and body = key %v, value %v; want no key, and an empty value, which is no tombstone", r.Key, r.Value)
	}
}

func TestForeignRecordsAreReadOrMalformed(t *testing.T) {
	t.Parallel()
	const address = "orders.v1.placed"
	for _, m := range []struct {
		name, key string
		headers   []string
		body      string
		want      transport.Envelope
		wrong     string // part of the reason; "" = well-formed
	}{
		{"binary mode, ordered by the record's key", "k", []string{"ce_specversion", "1.0", "ce_id", "f1", "ce_source", "x", "ce_type", address, "content-type", "text/plain"},
			"text", transport.Envelope{ID: "f1", Key: "k", Body: []byte("text"), ContentType: "text/plain"}, ""},
		{"structured mode with JSON", "", []string{"content-type", "application/cloudevents+json; charset=utf-8"},
			`{"specversion":"1.0","id":"f2","source":"x","type":"orders.v1.placed","subject":"k","data":{"a":1},"number":7}`,
			transport.Envelope{ID: "f2", Key: "k", Body: []byte(`{"a":1}`)}, ""},
		{"structured mode with bytes", "", []string{"content-type", "application/cloudevents+json"},
			`{"specversion":"1.0","id":"f3","source":"x","type":"orders.v1.placed","data_base64":"AP8="}`, transport.Envelope{ID: "f3", Body: []byte{0, 255}}, ""},
		{"structured mode with text", "", []string{"content-type", "application/cloudevents+json"},
			`{"specversion":"1.0","id":"f4","source":"x","type":"orders.v1.placed","datacontenttype":"text/plain","data":"hello"}`,
			transport.Envelope{ID: "f4", Body: []byte("hello"), ContentType: "text/plain"}, ""},
		{"no event", "", nil, "hello", transport.Envelope{Body: []byte("hello")}, "no header ce_specversion"},
		{"a tombstone", "k", nil, "", transport.Envelope{}, "no header ce_specversion"},
		{"an event without id", "", []string{"ce_specversion", "1.0", "ce_type", address}, "a", transport.Envelope{Body: []byte("a")}, "id"},
		{"an event of another type", "", []string{"ce_specversion", "1.0", "ce_id", "f5", "ce_type", "b.c"}, "", transport.Envelope{}, "attribute type"},
		{"broken JSON", "", []string{"content-type", "application/cloudevents+json"}, "{", transport.Envelope{Body: []byte("{")}, "structured event"},
	} {
		r := &kgo.Record{Topic: "parley." + address, Partition: 3, Offset: 17, Value: []byte(m.body)}
		if m.key != "" {
			r.Key = []byte(m.key)
		}
		for i := 0; i < len(m.headers); i += 2 {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: m.headers[i], Value: []byte(m.headers[i+1])})
		}
		e := decode(address, r)
		if err := e.Validate(); err != nil {
			t.Errorf("%s: got an invalid envelope: %v", m.name, err)
		}
		if string(e.Body) != string(m.want.Body) || e.Address != address || e.Key != m.want.Key || e.ContentType != m.want.ContentType {
			t.Errorf("%s: got %+v; want %+v", m.name, e, m.want)
		}
		if m.wrong == "" && (e.ID != m.want.ID || e.Headers[transport.Malformed] != "") {
			t.Errorf("%s: got id %s, headers %v; want %s", m.name, e.ID, e.Headers, m.want.ID)
		}
		if m.wrong != "" && (!strings.Contains(e.Headers[transport.Malformed], m.wrong) || e.ID != "parley."+address+".3.17") {
			t.Errorf("%s: got id %s, headers %v; want an id of its place and the reason %q", m.name, e.ID, e.Headers, m.wrong)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("content-type", "application/cloudevents+json", []byte(`{"specversion":"1.0","id":"i","type":"a.b","data":1}`), []byte("k"))
	f.Add("ce_id", "\xff", []byte(nil), []byte("\xff"))
	f.Fuzz(func(t *testing.T, key, value string, body, recordKey []byte) {
		r := &kgo.Record{Topic: strings.Repeat("t", 240), Offset: 1 << 60, Key: recordKey, Value: body, Headers: []kgo.RecordHeader{
			{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_id", Value: []byte("i")}, {Key: "ce_type", Value: []byte("a.b")},
			{Key: key, Value: []byte(value)},
		}}
		e := decode("a.b", r)
		if err := e.Validate(); err != nil {
			t.Errorf("decode = %+v; want an envelope that is valid: %v", e, err)
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add("3:17")
	f.Add("-1:0")
	f.Add("256:1")
	f.Fuzz(func(t *testing.T, s string) {
		p, o, err := parsePosition(s)
		if err != nil {
			return
		}
		if p2, o2, err := parsePosition(position(p, o)); err != nil || p2 != p || o2 != o {
			t.Errorf("parsePosition(position(%d, %d)) = %d, %d, %v; want the same", p, o, p2, o2, err)
		}
	})
}
