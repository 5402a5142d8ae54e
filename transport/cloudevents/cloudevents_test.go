package cloudevents_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/cloudevents"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestAContentTypeAnnouncesAStructuredEvent(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{
		"application/cloudevents+json":                  true,
		"Application/CloudEvents+JSON ; charset=utf-8":  true,
		"application/cloudevents-batch+json":            false,
		"application/cloudevents+avro":                  false,
		"application/json":                              false,
		"":                                              false,
		"text/plain; a=application/cloudevents+json":    false,
		"application/cloudevents+json;charset=us-ascii": true,
	} {
		if got := cloudevents.IsStructured(contentType); got != want {
			t.Errorf("IsStructured(%q) = %v; want %v", contentType, got, want)
		}
	}
}

func TestStructuredEventsAreReadOrRefused(t *testing.T) {
	t.Parallel()
	const start = `{"specversion":"1.0","id":"1","source":"s","type":"a.b"`
	for _, c := range []struct {
		name, body string
		want       transport.Envelope // beside what start says
		wrong      string
	}{
		{"JSON", start + `,"data":{"n":1}}`, transport.Envelope{Body: []byte(`{"n":1}`)}, ""},
		{"a JSON string", start + `,"data":"x"}`, transport.Envelope{Body: []byte(`"x"`)}, ""},
		{"a JSON string of a kind of JSON", start + `,"datacontenttype":"a/b+json","data":"x"}`, transport.Envelope{ContentType: "a/b+json", Body: []byte(`"x"`)}, ""},
		{"text", start + `,"datacontenttype":"text/plain","data":"x"}`, transport.Envelope{ContentType: "text/plain", Body: []byte("x")}, ""},
		{"bytes", start + `,"data_base64":"AP8="}`, transport.Envelope{Body: []byte{0, 255}}, ""},
		{"nothing", start + `,"data":null}`, transport.Envelope{}, ""},
		{"numbers and truths", start + `,"n":7,"yes":true,"no":null}`, transport.Envelope{Headers: map[string]string{"n": "7", "yes": "true"}}, ""},
		{"no version", `{"id":"1"}`, transport.Envelope{}, "specversion"},
		{"no JSON", `{`, transport.Envelope{}, "structured event"},
		{"an array", `[]`, transport.Envelope{}, "structured event"},
		{"no base64", start + `,"data_base64":"%"}`, transport.Envelope{}, "data_base64"},
		{"no time", start + `,"time":"yesterday"}`, transport.Envelope{}, "time"},
	} {
		e := &transport.Envelope{Body: []byte("before")}
		err := cloudevents.ReadStructured(e, []byte(c.body))
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: ReadStructured = %v; want an error about %q", c.name, err, c.wrong)
			}
			continue
		}
		c.want.ID, c.want.Source, c.want.Address = "1", "s", "a.b"
		if err != nil {
			t.Errorf("%s: ReadStructured = %v; want nil", c.name, err)
		}
		for _, what := range transporttest.Differences(&c.want, e) {
			t.Errorf("%s: %s", c.name, what)
		}
	}
}

func TestAnEventOfAnotherAddressIsRefused(t *testing.T) {
	t.Parallel()
	e := &transport.Envelope{ID: "1", Source: "s", Address: "a.b"}
	if err := cloudevents.Check(e, "a.b"); err != nil {
		t.Errorf("Check = %v; want nil", err)
	}
	if err := cloudevents.Check(e, "a.c"); err == nil || !strings.Contains(err.Error(), `"a.b"`) {
		t.Errorf("Check of an event for a.b on a.c = %v; want an error that says so", err)
	}
	e.ID = ""
	if err := cloudevents.Check(e, "a.b"); !errors.Is(err, transport.ErrRefused) {
		t.Errorf("Check of an event without an id = %v; want ErrRefused", err)
	}
}

// Whatever a stranger sends is either read, or delivered as malformed; either can be stored again, as a dead letter.
func FuzzWhatComesCanBeStoredAgain(f *testing.F) {
	f.Add("place.1", []byte(`{"specversion":"1.0","id":"1","source":"s","type":"a.b","data":"text"}`))
	f.Add(strings.Repeat("p", 2*transport.MaxIDBytes), []byte("{\"specversion\":\"\x01\",\"id\":\"\\u0000\"}"))
	f.Fuzz(func(t *testing.T, place string, body []byte) {
		e := &transport.Envelope{}
		err := cloudevents.ReadStructured(e, body)
		if err == nil {
			err = cloudevents.Check(e, "a.b")
		}
		if err == nil {
			return
		}
		m := cloudevents.Malformed("a.b", "p"+strings.Map(visible, place), body, err)
		if err := m.Validate(); err != nil {
			t.Errorf("Malformed = an envelope with %v; want a valid one", err)
		}
		if m.Headers[transport.Malformed] == "" || string(m.Body) != string(body) {
			t.Errorf("Malformed = %+v; want the reason, and the body as it came", m)
		}
	})
}

func visible(r rune) rune {
	if r > ' ' && r < 0x7f {
		return r
	}
	return -1
}
