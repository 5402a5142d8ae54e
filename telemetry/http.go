package telemetry

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/parley-io/parley/transport"
)

// Handler is next with a span and a duration for each request, by the conventions for HTTP servers. The route is the
// pattern of the [http.ServeMux] that next ends in; a mux below a handler that copies the request is not seen. Query
// strings are left out, because they may hold secrets.
//
// next gets a ResponseWriter that [http.ResponseController] and [http.Flusher] work with; no other interface is passed
// on.
func (t *Telemetry) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.serve(w, r, next) })
}

func (t *Telemetry) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	began := time.Now()
	method, scheme := methodOf(r), "http"
	if r.TLS != nil {
		scheme = "https"
	}
	attributes := append(make([]attribute.KeyValue, 0, 8), semconv.HTTPRequestMethodKey.String(string(method)), semconv.URLScheme(scheme),
		semconv.URLPath(r.URL.Path), semconv.NetworkProtocolVersion(protocol(r)))
	attributes = append(attributes, addressOf(r.Host)...)
	if method == httpconv.RequestMethodOther {
		attributes = append(attributes, semconv.HTTPRequestMethodOriginal(clip(r.Method)))
	}
	ctx, span := t.start(w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), spanName(method), trace.SpanKindServer, began, attributes)
	r = r.WithContext(ctx)
	writer := &statusWriter{ResponseWriter: w}
	returned := false
	defer func() { // also when next panics, which the server answers by cutting the connection
		labels := append(make([]attribute.KeyValue, 0, 6), semconv.NetworkProtocolVersion(protocol(r)))
		class := ""
		switch status := writer.sent(); {
		case !returned:
			class = "panic"
		case status >= http.StatusInternalServerError:
			class = strconv.Itoa(status)
			fallthrough
		default:
			labels = append(labels, semconv.HTTPResponseStatusCode(status))
		}
		if route := routeOf(r.Pattern); route != "" {
			span.SetName(spanName(method) + " " + route)
			labels = append(labels, semconv.HTTPRoute(route))
		}
		span.SetAttributes(labels...)
		took := finish(span, began, class, nil)
		t.requests.Record(ctx, took, method, scheme, failed(labels, class)...)
	}()
	next.ServeHTTP(writer, r)
	returned = true
}

// Caller is next with a span and a duration for each of its requests over HTTP, by the conventions for HTTP clients. A
// call that is repeated has several, with http.request.resend_count from the second on. Requests that go to
// no URL of HTTP are passed on as they are. The status is known of a success only, because a [transport.Error] does not
// tell it; a failure has its code as error.type.
func (t *Telemetry) Caller(next transport.Caller) transport.Caller {
	if t == nil || next == nil {
		return next
	}
	return caller{next, t}
}

type caller struct {
	transport.Caller
	telemetry *Telemetry
}

func (c caller) Request(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
	u, err := url.Parse(peer)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return c.Caller.Request(ctx, peer, e)
	}
	began := time.Now()
	method := httpconv.RequestMethodPost // calls have no other
	path := "/" + strings.ReplaceAll(e.Address, ".", "/")
	host, port := hostPort(u)
	attributes := append(identity(e), semconv.HTTPRequestMethodKey.String(string(method)), semconv.URLTemplate(path),
		semconv.URLFull(strings.TrimSuffix(u.Redacted(), "/")+path), semconv.ServerAddress(host), semconv.ServerPort(port))
	if e.Attempt > 1 {
		attributes = append(attributes, semconv.HTTPRequestResendCount(e.Attempt-1))
	}
	ctx, span := c.telemetry.start(within(ctx, e), string(method)+" "+path, trace.SpanKindClient, began, attributes)
	sent := *e
	w3c.Inject(ctx, carrier{&sent})
	answer, err := c.Caller.Request(ctx, peer, &sent)
	labels := []attribute.KeyValue{semconv.URLTemplate("/" + strings.ReplaceAll(c.telemetry.labels.label(e.Address), ".", "/"))}
	class := ""
	if err == nil {
		status := semconv.HTTPResponseStatusCode(http.StatusOK)
		span.SetAttributes(status)
		labels = append(labels, status)
	} else {
		class = string(codeOf(err))
	}
	took := finish(span, began, class, err)
	c.telemetry.attempts.Record(ctx, took, method, host, port, failed(labels, class)...)
	return answer, err
}

// statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Flush implements [http.Flusher].
func (w *statusWriter) Flush() {
	if http.NewResponseController(w.ResponseWriter).Flush() == nil && w.status == 0 {
		w.status = http.StatusOK
	}
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// sent is the status; a handler that says nothing sends 200.
func (w *statusWriter) sent() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// methodOf is the method of r if it is one of RFC 9110, else other.
func methodOf(r *http.Request) httpconv.RequestMethodAttr {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return httpconv.RequestMethodAttr(r.Method)
	}
	return httpconv.RequestMethodOther
}

// spanName begins the name of a span.
func spanName(method httpconv.RequestMethodAttr) string {
	if method == httpconv.RequestMethodOther {
		return "HTTP"
	}
	return string(method)
}

// routeOf is the path of a pattern "[METHOD ][HOST]/[PATH]".
func routeOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return ""
}

// protocol is "1.1" or "2".
func protocol(r *http.Request) string {
	if r.ProtoMajor == 1 {
		return "1." + strconv.Itoa(r.ProtoMinor)
	}
	return strconv.Itoa(r.ProtoMajor)
}

// addressOf is what a Host header says.
func addressOf(host string) []attribute.KeyValue {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return []attribute.KeyValue{semconv.ServerAddress(host)}
	}
	n, _ := strconv.Atoi(port) // a port is a number, or the request would not be here
	return []attribute.KeyValue{semconv.ServerAddress(name), semconv.ServerPort(n)}
}

// hostPort are those of a URL, with the scheme's port where it has none.
func hostPort(u *url.URL) (string, int) {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return u.Hostname(), port
	}
	if u.Scheme == "https" {
		return u.Hostname(), 443
	}
	return u.Hostname(), 80
}
