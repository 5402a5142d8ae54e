package http

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-io/parley/transport"
)

// answering is one Answer: its routes and the requests that run on them.
type answering struct {
	routes  []*route
	running gate
}

// Answer implements [transport.Caller]. The first one opens the listener, which stays open until Close, so that after
// ctx is done its routes tell callers to go elsewhere: 503 with Retry-After, and certainly not begun. A later Answer
// may take these routes over. ready gets Options.Advertise or the listener's URL, "" when there is neither.
func (c *Caller) Answer(ctx context.Context, endpoints []transport.Endpoint, ready func(peer string)) error {
	if !c.answers.enter() {
		return fmt.Errorf("http: answer: %w", transport.ErrClosed)
	}
	defer c.answers.leave()
	if ctx.Err() != nil {
		return nil
	}
	a, server, err := c.begin(ctx, endpoints)
	if err != nil {
		return fmt.Errorf("http: answer: %w", err)
	}
	if ready != nil {
		ready(c.peer(server))
	}
	select {
	case <-ctx.Done():
	case <-c.closing:
	case <-server.failed():
		err = fmt.Errorf("http: answer: the listener on %s failed: %w", c.options.Listen, server.err)
	}
	<-a.running.shut()
	return err
}

// begin serves endpoints beside what is served already, or changes nothing.
func (c *Caller) begin(ctx context.Context, endpoints []transport.Endpoint) (a *answering, server *listening, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a = &answering{}
	if a.routes, err = c.routesOf(a, endpoints); err != nil {
		return nil, nil, err
	}
	mux, answered, err := c.build(c.pages, append(c.answered[:len(c.answered):len(c.answered)], a))
	if err != nil {
		return nil, nil, err
	}
	if err := c.open(ctx); err != nil {
		return nil, nil, err
	}
	c.answered = answered
	c.routes.Store(mux)
	return a, c.server, nil
}

// refusal is an error with a status that its code does not tell; 0 = the code does.
type refusal struct {
	*transport.Error
	status int
}

func refuse(code transport.Code, status int, format string, args ...any) *refusal {
	return &refusal{&transport.Error{Code: code, NotSent: true, Message: fmt.Sprintf(format, args...)}, status}
}

func outOfTime() *refusal {
	return refuse(transport.DeadlineExceeded, 0, "less than %v is left for the answer: not begun", leastTimeout)
}

// ServeHTTP handles one request.
func (rt *route) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	granted, refused := rt.granted(r.Header)
	deadline := time.Now().Add(granted)
	var e *transport.Envelope
	if refused == nil {
		e, refused = rt.read(w, r)
	}
	if refused == nil && time.Until(deadline) < leastTimeout {
		refused = outOfTime()
	}
	if refused == nil && !rt.answering.running.enter() {
		w.Header()["Connection"] = []string{"close"}
		refused = refuse(transport.Unavailable, 0, "draining: this process is about to end")
		refused.RetryAfter = drainingAfter
	}
	if refused != nil {
		writeProblem(w, refused.Error, refused.status)
		return
	}
	defer rt.answering.running.leave()
	ctx, cancel := context.WithDeadline(r.Context(), deadline)
	defer cancel()
	answer, failed := rt.answer(ctx, e)
	if failed == nil {
		failed = rt.write(w, r, answer)
	}
	if failed != nil {
		writeProblem(w, failed, 0)
	}
}

// granted is how long the handler may take.
func (rt *route) granted(h nethttp.Header) (time.Duration, *refusal) {
	left, ok, err := readTimeoutHeader(h)
	switch {
	case err != nil:
		return 0, refuse(transport.InvalidArgument, 0, "%v", err)
	case !ok:
		return rt.caller.options.MaxTimeout, nil
	case left < leastTimeout:
		return 0, outOfTime()
	}
	return min(left, rt.caller.options.MaxTimeout), nil
}

// read makes the envelope of a request.
func (rt *route) read(w nethttp.ResponseWriter, r *nethttp.Request) (*transport.Envelope, *refusal) {
	e := &transport.Envelope{}
	if err := readAttributes(r.Header, e); err != nil {
		return nil, refuse(transport.InvalidArgument, 0, "%v", err)
	}
	if err := readAttempt(r.Header, e); err != nil {
		return nil, refuse(transport.InvalidArgument, 0, "%v", err)
	}
	keep(r.Header, "Prefer", ", ", e, transport.HeaderPrefer)
	keep(r.Header, "If-None-Match", ", ", e, transport.HeaderIfNoneMatch)
	e.Address = rt.endpoint.Address // ce-type is a claim, the route is not
	if e.ID == "" {
		if err := identify(r.Header, e); err != nil {
			return nil, refuse(transport.InvalidArgument, 0, "%v", err)
		}
		w.Header()[messageIDKey] = []string{e.ID}
	}
	if err := e.Validate(); err != nil {
		return nil, refuse(transport.InvalidArgument, 0, "%v", err)
	}
	if refused := rt.readType(r, e); refused != nil {
		return nil, refused
	}
	var err error
	if e.Body, err = readBody(r.Body, r.ContentLength, rt.caller.options.MaxBody); err != nil {
		if errors.Is(err, errTooLarge) {
			// net/http's own way to say it keeps the connection until the client had time to read the answer.
			_, _ = nethttp.MaxBytesReader(innermost(w), r.Body, 0).Read(make([]byte, 1))
			return nil, refuse(transport.InvalidArgument, nethttp.StatusRequestEntityTooLarge, "the body is above the limit of %d bytes", rt.caller.options.MaxBody)
		}
		return nil, refuse(transport.Canceled, 0, "the body did not arrive")
	}
	// net/http would take a handler that runs past the time for reading for a caller that left.
	_ = nethttp.NewResponseController(w).SetReadDeadline(time.Time{}) // unsupported under somebody else's server
	return e, rt.bind(r, e)
}

// innermost is what Options.Wrap was put around, which alone knows that way.
func innermost(w nethttp.ResponseWriter) nethttp.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() nethttp.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// identify gives e the ID of the Idempotency-Key or Operation-Id, or a new one.
func identify(h nethttp.Header, e *transport.Envelope) error {
	for _, name := range [...]string{idempotencyKey, operationIDKey} {
		v := h[name]
		if len(v) == 0 {
			continue
		}
		id := strings.TrimSpace(v[0])
		if n := len(id); n >= 2 && id[0] == '"' && id[n-1] == '"' {
			id = id[1 : n-1]
		}
		if len(v) > 1 || id == "" || len(id) > transport.MaxIDBytes || strings.Contains(id, " ") || !isASCII(id) {
			return fmt.Errorf("header %s: got %q, want one key of 1 to %d visible ASCII characters", name, clip(v[0], 80), transport.MaxIDBytes)
		}
		if e.ID != "" && e.ID != id {
			return fmt.Errorf("headers %s and %s: got %q and %q, want one of them, or both the same", idempotencyKey, operationIDKey, e.ID, id)
		}
		e.ID = id
	}
	if e.ID != "" {
		return nil
	}
	id, err := uuid.NewV7()
	e.ID = id.String()
	return err
}

// readType decides how the body is to be read.
func (rt *route) readType(r *nethttp.Request, e *transport.Envelope) *refusal {
	if v := r.Header["Content-Encoding"]; len(v) > 0 && v[0] != "identity" {
		return refuse(transport.InvalidArgument, nethttp.StatusUnsupportedMediaType, "Content-Encoding %q: send the body as it is", clip(v[0], 80))
	}
	e.ContentType = contentType(r.Header)
	if e.ContentType == jsonType {
		return nil
	}
	kind, _, _ := strings.Cut(strings.ToLower(e.ContentType), ";")
	switch kind = strings.TrimSpace(kind); {
	case kind == "", kind == "application/x-www-form-urlencoded", kind == "multipart/form-data", strings.HasPrefix(kind, "text/"):
		// The types that a browser sends to anybody without asking first.
		if err := new(nethttp.CrossOriginProtection).Check(r); err != nil {
			return refuse(transport.PermissionDenied, 0, "a page of another origin must send application/json: %v", err)
		}
		e.ContentType = jsonType
	case strings.HasPrefix(kind, "application/cloudevents"):
		return refuse(transport.InvalidArgument, nethttp.StatusUnsupportedMediaType, "Content-Type %s: send the event in binary mode, its attributes as ce- headers", clip(kind, 80))
	}
	return nil
}

// bind puts path and query into the body.
func (rt *route) bind(r *nethttp.Request, e *transport.Envelope) *refusal {
	if !rt.rest || rt.endpoint.Bind == nil {
		if r.URL.RawQuery != "" {
			return refuse(transport.InvalidArgument, 0, "a query is not read here: %s takes its fields in the body", rt.endpoint.Address)
		}
		return nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refuse(transport.InvalidArgument, 0, "the query is malformed: %v", err)
	}
	for _, name := range rt.wildcards {
		values[name] = []string{r.PathValue(name)}
	}
	if e.Body, err = rt.bound(e.Body, values); err != nil {
		if bad, ok := errors.AsType[*transport.Error](err); ok {
			return &refusal{bad, 0}
		}
		return refuse(transport.InvalidArgument, 0, "%v", err)
	}
	return nil
}

// bound is Bind with an error where that panics.
func (rt *route) bound(body []byte, values map[string][]string) (_ []byte, err error) {
	defer func() {
		if recover() != nil {
			err = panicked()
		}
	}()
	return rt.endpoint.Bind(body, values)
}

func panicked() *transport.Error {
	return &transport.Error{Code: transport.Internal, Message: "the handler panicked"}
}

// answer runs the handler. What is wrong with it beyond an [*transport.Error] stays here.
func (rt *route) answer(ctx context.Context, e *transport.Envelope) (answer *transport.Envelope, failed *transport.Error) {
	defer func() {
		if recover() != nil {
			answer, failed = nil, panicked()
		}
	}()
	answer, err := rt.endpoint.Answer(ctx, e)
	switch {
	case err == nil && answer == nil:
		return &transport.Envelope{}, nil
	case err == nil:
		return answer, checkAnswer(answer, e)
	}
	if failed, ok := errors.AsType[*transport.Error](err); ok {
		return nil, failed
	}
	switch over := ctx.Err(); {
	case over != nil && errors.Is(err, over) && errors.Is(over, context.DeadlineExceeded):
		return nil, &transport.Error{Code: transport.DeadlineExceeded, Message: "the time was over before the answer"}
	case over != nil && errors.Is(err, over):
		return nil, &transport.Error{Code: transport.Canceled, Message: "the caller gave up"}
	}
	return nil, &transport.Error{Code: transport.Internal, Message: "the handler failed"}
}

// checkAnswer refuses headers that HTTP would not carry unharmed.
func checkAnswer(answer, request *transport.Envelope) *transport.Error {
	if len(answer.Headers) == 0 {
		return nil
	}
	check := *answer
	check.ID, check.Address = request.ID, request.Address
	if err := check.Validate(); err != nil {
		return &transport.Error{Code: transport.Internal, Message: "the handler's answer has headers that no wire carries"}
	}
	return nil
}

// write sends answer, or says why that cannot be and has written nothing.
func (rt *route) write(w nethttp.ResponseWriter, r *nethttp.Request, answer *transport.Envelope) *transport.Error {
	reply, err := transport.ReplyOf(answer)
	if err != nil {
		return &transport.Error{Code: transport.Internal, Message: fmt.Sprintf("the handler's answer: %v", err)}
	}
	if setEnvelope(w.Header(), answer)+rt.caller.setReply(w.Header(), r, reply) > maxHeaderBytes-headerRoom {
		clear(w.Header())
		return &transport.Error{Code: transport.Internal, Message: fmt.Sprintf("the answer's headers are above the limit of %d bytes", maxHeaderBytes)}
	}
	if len(answer.Body) == 0 {
		delete(w.Header(), "Content-Type")
		w.WriteHeader(cmp.Or(reply.Status, nethttp.StatusNoContent))
		return nil
	}
	if len(answer.Body) > 2048 { // up to there net/http finds it out by itself
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(answer.Body))}
	}
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
	}
	_, _ = w.Write(answer.Body) // who no longer listens needs no answer
	return nil
}
