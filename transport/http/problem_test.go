package http

import (
	nethttp "net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/parley-io/parley/transport"
)

func TestAnErrorCrossesAsAProblem(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name   string
		err    transport.Error
		want   *transport.Error // nil = err itself
		status int
		body   string // a part of it
		header nethttp.Header
	}{
		{
			name: "declared", status: 400,
			err:    transport.Error{Code: transport.FailedPrecondition, Name: "orders.v1.out-of-stock", Message: "2 left", Details: []byte(`{"left":2}`)},
			body:   `"type":"urn:parley:error:orders.v1.out-of-stock","title":"orders.v1.out-of-stock","status":400,"detail":"2 left","code":"failed-precondition"`,
			header: nethttp.Header{"Content-Type": {"application/problem+json"}},
		},
		{
			name: "a key of another request", status: 409,
			err:    transport.Error{Code: transport.AlreadyExists, Name: "parley.key-reused", Message: "7 is another request's"},
			body:   `"type":"urn:parley:error:parley.key-reused","title":"parley.key-reused","status":409,"detail":"7 is another request's","code":"already-exists"`,
			header: nethttp.Header{"Content-Type": {"application/problem+json"}},
		},
		{
			name: "fields", status: 422,
			err:  transport.Error{Code: transport.InvalidArgument, Message: "the body is wrong", Fields: []transport.Field{{Path: "items[0].sku", Message: "missing"}, {Message: "too long"}}},
			body: `"fields":[{"path":"items[0].sku","message":"missing"},{"path":"","message":"too long"}]`,
		},
		{
			name: "overload", status: 503,
			err:    transport.Error{Code: transport.Unavailable, Message: "too many requests run", NotSent: true, RetryAfter: 1500 * time.Millisecond},
			body:   `"retryable":true,"retry_after_ms":1500`,
			header: nethttp.Header{"Retry-After": {"2"}, "Parley-Not-Begun": {"1"}},
		},
		{
			name: "unavailable without a time", status: 503,
			err:    transport.Error{Code: transport.Unavailable, Message: "not now"},
			header: nethttp.Header{"Retry-After": {"1"}, "Parley-Not-Begun": nil},
		},
		{
			name: "retried in vain", status: 503,
			err:    transport.Error{Code: transport.Unavailable, Message: "stock does not answer", NoRetry: true},
			body:   `"retryable":false`,
			header: nethttp.Header{"Retry-Pushback": {"never"}},
		},
		{
			name: "a downstream peer's not begun is not ours", status: 503,
			err:    transport.Error{Code: transport.Unavailable, Message: "cannot be reached", NotSent: true, Peer: "http://stock:80", Address: "stock.v1.get", ID: "x"},
			want:   &transport.Error{Code: transport.Unavailable, Message: "cannot be reached"},
			header: nethttp.Header{"Parley-Not-Begun": nil},
		},
		{
			name: "no message", status: 404,
			err:  transport.Error{Code: transport.NotFound},
			want: &transport.Error{Code: transport.NotFound, Message: "Not Found"},
		},
		{
			name: "details that are no JSON", status: 409,
			err:  transport.Error{Code: transport.Aborted, Message: "again", Details: []byte("{")},
			want: &transport.Error{Code: transport.Aborted, Message: "again"},
		},
		{
			name: "a message that is no UTF-8", status: 500,
			err:  transport.Error{Code: transport.Internal, Message: "a\xffb"},
			want: &transport.Error{Code: transport.Internal, Message: "a\uFFFDb"},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			writeProblem(w, &x.err, 0)
			if w.Code != x.status {
				t.Errorf("status = %d; want %d", w.Code, x.status)
			}
			if !strings.Contains(w.Body.String(), x.body) {
				t.Errorf("body = %s; want it to contain %s", w.Body, x.body)
			}
			for k, want := range x.header {
				if got := w.Header()[k]; !reflect.DeepEqual(got, want) {
					t.Errorf("header %s = %q; want %q", k, got, want)
				}
			}
			want := x.want
			if want == nil {
				want = &x.err
			}
			if got := readProblem(w.Code, w.Header(), w.Body.Bytes()); !reflect.DeepEqual(got, want) { //nolint:govet // the whole error is compared, as data
				t.Errorf("read back %#v; want %#v", got, want)
			}
		})
	}
}

func TestAStrangersAnswerIsMappedSensibly(t *testing.T) {
	t.Parallel()
	const problemJSON = "application/problem+json; charset=utf-8"
	for _, x := range []struct {
		name   string
		status int
		header nethttp.Header
		body   string
		want   transport.Error
	}{
		{"a proxy's page", 502, nethttp.Header{"Content-Type": {"text/html"}}, "<html>\r\n<h1>502 Bad\tGateway</h1>\x00</html>\n",
			transport.Error{Code: transport.Unavailable, Message: "HTTP 502 Bad Gateway: <html> <h1>502 Bad Gateway</h1> </html>"}},
		{"a long page", 500, nil, strings.Repeat("é", 1000),
			transport.Error{Code: transport.Internal, Message: "HTTP 500 Internal Server Error: " + strings.Repeat("é", 150) + "…"}},
		{"a redirect", 307, nethttp.Header{"Location": {"https://elsewhere/"}}, "",
			transport.Error{Code: transport.Unknown, Message: "HTTP 307 Temporary Redirect: redirects are not followed, this one to https://elsewhere/; give the peer's own URL"}},
		{"a quota", 429, nethttp.Header{"Retry-After": {"7"}}, "",
			transport.Error{Code: transport.ResourceExhausted, Message: "HTTP 429 Too Many Requests", RetryAfter: 7 * time.Second}},
		{"a date", 503, nethttp.Header{"Retry-After": {"Wed, 21 Oct 2026 07:28:30 GMT"}, "Date": {"Wed, 21 Oct 2026 07:28:00 GMT"}}, "",
			transport.Error{Code: transport.Unavailable, Message: "HTTP 503 Service Unavailable", RetryAfter: 30 * time.Second}},
		{"a date in the past", 503, nethttp.Header{"Retry-After": {"Wed, 21 Oct 2015 07:28:30 GMT"}}, "",
			transport.Error{Code: transport.Unavailable, Message: "HTTP 503 Service Unavailable"}},
		{"a year", 503, nethttp.Header{"Retry-After": {"31536000"}}, "",
			transport.Error{Code: transport.Unavailable, Message: "HTTP 503 Service Unavailable", RetryAfter: 24 * time.Hour}},
		{"nonsense for a time", 503, nethttp.Header{"Retry-After": {"soon"}}, "",
			transport.Error{Code: transport.Unavailable, Message: "HTTP 503 Service Unavailable"}},
		{"a problem without code", 409, nethttp.Header{"Content-Type": {problemJSON}, "Retry-After": {"3"}}, `{"title":"Conflict","detail":"somebody was faster","status":409,"balance":3}`,
			transport.Error{Code: transport.Aborted, Message: "somebody was faster", RetryAfter: 3 * time.Second}},
		{"a code of a later version", 404, nethttp.Header{"Content-Type": {problemJSON}}, `{"code":"gone-fishing","detail":"back at noon"}`,
			transport.Error{Code: transport.Unimplemented, Message: "back at noon"}},
		{"a problem of other types", 400, nethttp.Header{"Content-Type": {problemJSON}}, `{"status":"400","detail":7}`,
			transport.Error{Code: transport.InvalidArgument, Message: `HTTP 400 Bad Request: {"status":"400","detail":7}`}},
		{"JSON that is no problem", 503, nethttp.Header{"Content-Type": {"application/json"}}, `{"code":"not-found"}`,
			transport.Error{Code: transport.Unavailable, Message: `HTTP 503 Service Unavailable: {"code":"not-found"}`}},
		{"a negative time", 503, nethttp.Header{"Content-Type": {problemJSON}}, `{"code":"unavailable","detail":"x","retry_after_ms":-9223372036854775808}`,
			transport.Error{Code: transport.Unavailable, Message: "x"}},
		{"null details", 400, nethttp.Header{"Content-Type": {problemJSON}}, `{"code":"invalid-argument","detail":"x","details":null}`,
			transport.Error{Code: transport.InvalidArgument, Message: "x"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			if got := readProblem(x.status, x.header, []byte(x.body)); !reflect.DeepEqual(got, &x.want) { //nolint:govet // the whole error is compared, as data
				t.Errorf("got %#v; want %#v", got, &x.want)
			}
		})
	}
}

func FuzzReadProblemAlwaysGivesACode(f *testing.F) {
	f.Add(503, "1", `{"code":"unavailable","retry_after_ms":3,"details":{"a":[1]},"fields":[{"path":"a","message":"b"}]}`, true)
	f.Add(502, "Wed, 21 Oct 2026 07:28:00 GMT", "<html>\xff", false)
	f.Add(-1, "-99999999999999", `{"code":null,"title":"\ud800","details":null}`, true)
	f.Fuzz(func(t *testing.T, status int, after, body string, isProblem bool) {
		h := nethttp.Header{"Retry-After": {after}}
		if isProblem {
			h.Set("Content-Type", problemType)
		}
		e := readProblem(status, h, []byte(body))
		if !isCode(e.Code) {
			t.Errorf("Code = %q; want one of package transport", e.Code)
		}
		if e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter {
			t.Errorf("RetryAfter = %v; want 0 to %v", e.RetryAfter, maxRetryAfter)
		}
		if !utf8.ValidString(e.Message) || e.Error() == "" {
			t.Errorf("Message = %q; want text", e.Message)
		}
		again := httptest.NewRecorder()
		writeProblem(again, e, 0) // what was read can be passed on
		if got := readProblem(again.Code, again.Header(), again.Body.Bytes()); got.Code != e.Code {
			t.Errorf("passed on: Code = %q; want %q", got.Code, e.Code)
		}
	})
}
