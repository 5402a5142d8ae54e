package transport_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestAReplyCrossesInHeaders(t *testing.T) {
	t.Parallel()
	for _, r := range []transport.Reply{
		{},
		{Status: 202, Location: "/orders/v1/fulfil/a:b%20c", RetryAfter: 2 * time.Second, ETag: "7-a/b", Applied: "respond-async, wait=20"},
		{Status: 304, ETag: "7"},
		{Status: 200}, {Status: 204}, {Status: 299},
		{Location: "https://example.com/x?y=z", RetryAfter: transport.MaxRetryAfter},
	} {
		e := &transport.Envelope{ID: "m", Address: "a.b"}
		r.Set(e)
		if err := e.Validate(); err != nil {
			t.Errorf("Validate of a reply %+v = %v; want nil", r, err)
		}
		if got, err := transport.ReplyOf(e); err != nil || got != r {
			t.Errorf("ReplyOf = %+v, %v; want %+v", got, err, r)
		}
	}
}

func TestSetWritesWhatAReplySaysAndNothingElse(t *testing.T) {
	t.Parallel()
	e := &transport.Envelope{Headers: map[string]string{"tenant": "a", "status": "202", "etag": "1", "location": "/x", "retryafter": "1", "preferenceapplied": "wait"}}
	transport.Reply{RetryAfter: 1100 * time.Millisecond, ETag: "2"}.Set(e)
	if want := map[string]string{"tenant": "a", "retryafter": "2", "etag": "2"}; !maps.Equal(e.Headers, want) {
		t.Errorf("Headers = %v; want %v", e.Headers, want)
	}
	none := &transport.Envelope{}
	transport.Reply{}.Set(none)
	if none.Headers != nil {
		t.Errorf("Headers = %v of the zero Reply; want none made", none.Headers)
	}
}

func TestReplyOfSaysWhatIsInvalid(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"status":            {"", "0", "199", "300", "303", "305", "400", "500", "+202", "0202", "2e2", " 202", "20", "2020", "-304"},
		"location":          {"", "orders/7", "//elsewhere/7", "///7", "/a b", "/ü", "mailto:a@b", "ftp://a/b", "http:", "http:///a", "/%zz", "?a", "javascript:alert(1)"},
		"retryafter":        {"", "-1", "1.5", "soon", "86401", "Wed, 21 Oct 2026 07:28:00 GMT"},
		"etag":              {"", `"1"`, "a b", "ü", `W/"1"`},
		"preferenceapplied": {"", "  ", "ü", "wait\t=1"},
	} {
		for _, v := range values {
			_, err := transport.ReplyOf(&transport.Envelope{Headers: map[string]string{name: v}})
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("ReplyOf(%s: %q) = %v; want an error that names the header", name, v, err)
			}
		}
	}
	for _, status := range []string{"204", "304"} {
		e := &transport.Envelope{Headers: map[string]string{"status": status}, Body: []byte("{}")}
		if _, err := transport.ReplyOf(e); err == nil {
			t.Errorf("ReplyOf with status %s and a body = nil; want an error", status)
		}
	}
}

func TestPreferencesAndConditionsAreReadAndMalformedOnesIgnored(t *testing.T) {
	t.Parallel()
	const longestWait = 20 * time.Second
	for _, c := range []struct {
		prefer, match string
		wait          time.Duration
		revision      int64
	}{
		{"", "", 0, -1},
		{"wait=5", `"7"`, 5 * time.Second, 7},
		{"respond-async, Wait=\"5\"", `W/"7"`, 5 * time.Second, 7},
		{"wait=3600", "*", longestWait, -1},
		{"wait=-1, wait=soon", `"-3"`, 0, -1},
	} {
		e := &transport.Envelope{Headers: map[string]string{transport.HeaderPrefer: c.prefer, transport.HeaderIfNoneMatch: c.match}}
		wait, preferred := transport.PreferredWait(e, longestWait)
		revision, conditional := transport.KnownRevision(e)
		if wait != c.wait || preferred != (wait > 0) || revision != c.revision || conditional != (revision >= 0) {
			t.Errorf("Prefer %q, If-None-Match %q = %v %v, %d %v; want %v, %d", c.prefer, c.match, wait, preferred, revision, conditional, c.wait, c.revision)
		}
	}
}
