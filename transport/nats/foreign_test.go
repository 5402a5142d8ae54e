package nats_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestForeignMessagesAreReadOrDeliveredAsMalformed(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := transport.Channel{Address: "orders.v1.placed", Pattern: transport.Queue}
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	nc, err := natsio.Connect("", natsio.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, m := range []struct {
		name    string
		headers map[string]string
		body    string
		want    transport.Envelope // ID, Key, Body, ContentType
		wrong   string             // part of the reason; "" = well-formed
	}{
		{"binary mode in another spelling",
			map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "f1", "Ce-Source": "x", "Ce-Type": c.Address, "Ce-Subject": "gr%C3%BCn", "Content-Type": "text/plain"},
			"text", transport.Envelope{ID: "f1", Key: "grün", Body: []byte("text"), ContentType: "text/plain"}, ""},
		{"structured mode with JSON",
			map[string]string{"content-type": "application/cloudevents+json; charset=utf-8"},
			`{"specversion":"1.0","id":"f2","source":"x","type":"orders.v1.placed","subject":"k","data":{"a":1},"number":7}`,
			transport.Envelope{ID: "f2", Key: "k", Body: []byte(`{"a":1}`), Headers: map[string]string{"number": "7"}}, ""},
		{"structured mode with bytes",
			map[string]string{"content-type": "application/cloudevents+json"},
			`{"specversion":"1.0","id":"f3","source":"x","type":"orders.v1.placed","data_base64":"AP8="}`,
			transport.Envelope{ID: "f3", Body: []byte{0, 255}}, ""},
		{"structured mode with text",
			map[string]string{"content-type": "application/cloudevents+json"},
			`{"specversion":"1.0","id":"f4","source":"x","type":"orders.v1.placed","datacontenttype":"text/plain","data":"hello"}`,
			transport.Envelope{ID: "f4", Body: []byte("hello"), ContentType: "text/plain"}, ""},
		{"no event", nil, "hello", transport.Envelope{Body: []byte("hello")}, "no header ce-specversion"},
		{"an event without id", map[string]string{"ce-specversion": "1.0", "ce-type": c.Address}, "a", transport.Envelope{Body: []byte("a")}, "id"},
		{"an event of another type", map[string]string{"ce-specversion": "1.0", "ce-id": "f5", "ce-type": "b.c"}, "", transport.Envelope{}, "attribute type"},
		{"a bad escape", map[string]string{"ce-specversion": "1.0", "ce-id": "%zz", "ce-type": c.Address}, "", transport.Envelope{}, "ce-id"},
		{"broken JSON", map[string]string{"content-type": "application/cloudevents+json"}, "{", transport.Envelope{Body: []byte("{")}, "structured event"},
	} {
		msg := natsio.NewMsg("parley.orders_v1_placed.0")
		msg.Data = []byte(m.body)
		for k, v := range m.headers {
			msg.Header[k] = []string{v}
		}
		if err := nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		d := x.Next()
		e := d.Envelope
		if err := e.Validate(); err != nil {
			t.Errorf("%s: got an invalid envelope: %v", m.name, err)
		}
		if string(e.Body) != string(m.want.Body) || e.Address != c.Address || e.Key != m.want.Key || e.ContentType != m.want.ContentType {
			t.Errorf("%s: got %+v; want %+v", m.name, e, m.want)
		}
		if m.wrong == "" && (e.ID != m.want.ID || e.Headers[transport.Malformed] != "" || e.Headers["number"] != m.want.Headers["number"]) {
			t.Errorf("%s: got id %s, headers %v; want %s, %v", m.name, e.ID, e.Headers, m.want.ID, m.want.Headers)
		}
		if m.wrong != "" && (!strings.Contains(e.Headers[transport.Malformed], m.wrong) || !strings.HasSuffix(e.ID, "."+d.Position)) {
			t.Errorf("%s: got id %s, headers %v; want an id of its place and the reason %q", m.name, e.ID, e.Headers, m.wrong)
		}
		d.Settle(transport.Done)
	}
	x.Stop()
}

func TestWrongOptionsAndServersAreToldAtOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{Listen: "127.0.0.1:0", Token: "a-token-of-some-length"})
	for _, o := range []struct {
		options nats.Options
		want    []string
	}{
		{nats.Options{Prefix: "A.B", Survives: "all", Replicas: 9}, []string{"URL", "prefix", "survives", "replicas"}},
		{nats.Options{URL: "nats://127.0.0.1:1"}, []string{"127.0.0.1:1"}},
		{nats.Options{URL: s.URL()}, []string{"Authorization"}},
		{nats.Options{URL: s.URL(), Token: "not-the-right-one"}, []string{"Authorization"}},
	} {
		b, err := nats.Open(t.Context(), o.options)
		if err == nil {
			closeIt(t, b)
			t.Errorf("Open(%+v) = nil; want an error", o.options)
			continue
		}
		for _, w := range o.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("Open(%+v) = %q; want it to say %q", o.options, err, w)
			}
		}
	}
	b, err := nats.Open(t.Context(), nats.Options{URL: s.URL(), Token: s.Token(), Survives: "power"})
	if err != nil {
		t.Fatalf("Open over loopback = %v; want nil", err)
	}
	defer closeIt(t, b)
	c := transport.Channel{Address: "a.b", Pattern: transport.Topic}
	declare(t, b, c)
	if _, _, err := b.Backlog(t.Context(), c, "nobody"); !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("Backlog of an unknown group = %v; want ErrNotFound", err)
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g", Credit: transport.NewCredit(1)})
	r := send(t, b, envelope(c, ""), envelope(c, ""))
	d := x.Next()
	n, oldest, err := b.Backlog(t.Context(), c, "g")
	for until := time.Now().Add(patience); n < 2 && err == nil && time.Now().Before(until); { // the server counts beside delivering
		n, oldest, err = b.Backlog(t.Context(), c, "g")
	}
	if n != 2 || !oldest.Equal(d.Accepted) || err != nil {
		t.Errorf("Backlog = %d, %v, %v; want 2, %v: the time of %s", n, oldest, err, d.Accepted, r[0].Position)
	}
	d.Settle(transport.Done)
	x.Done(1)
	x.Stop()
	if n, oldest, err := b.Backlog(t.Context(), c, "g"); n != 0 || !oldest.IsZero() || err != nil {
		t.Errorf("Backlog = %d, %v, %v; want 0", n, oldest, err)
	}
}
