package http

import (
	"fmt"
	"math"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/transport"
)

const (
	problemType   = "application/problem+json"
	errorURN      = "urn:parley:error:" // and the name of a declared error: the type of its problem
	maxRetryAfter = 24 * time.Hour      // what a stranger may make a caller wait
	maxStranger   = 300                 // bytes of a stranger's page in a message
)

// problem is an error on the wire, as in RFC 9457.
type problem struct {
	Type    string            `json:"type"`
	Title   string            `json:"title"`
	Status  int               `json:"status"`
	Detail  string            `json:"detail,omitzero"`
	Code    transport.Code    `json:"code,omitzero"`
	Name    string            `json:"name,omitzero"`
	Details jsontext.Value    `json:"details,omitzero"`
	Fields  []transport.Field `json:"fields,omitempty"`
	// Retryable says to people what follows from code and headers: true = not begun and later it may work,
	// false = the callee retried in vain, absent = it depends on the contract.
	Retryable    *bool `json:"retryable,omitzero"`
	RetryAfterMS int64 `json:"retry_after_ms,omitzero"`
}

// writeProblem answers with e. status 0 = the one of its code.
func writeProblem(w nethttp.ResponseWriter, e *transport.Error, status int) {
	if status == 0 {
		status = statusOf(e)
	}
	p := problem{
		Type: "about:blank", Title: nethttp.StatusText(status), Status: status, Detail: strings.ToValidUTF8(e.Message, "\uFFFD"),
		Code: e.Code, Details: e.Details, Fields: e.Fields, RetryAfterMS: e.RetryAfter.Milliseconds(),
	}
	if e.Name != "" {
		p.Type, p.Title, p.Name = errorURN+e.Name, e.Name, e.Name
	}
	if p.Title == "" {
		p.Title = string(e.Code)
	}
	h := w.Header()
	// An error with a Peer came from a call that the handler made: it says nothing about this request.
	if begun := !e.NotSent || e.Peer != ""; !begun {
		h[notBegunKey] = yes
		if e.Code == transport.Unavailable || e.Code == transport.ResourceExhausted {
			p.Retryable = new(true)
		}
	}
	if e.NoRetry {
		h[pushbackKey] = never
		p.Retryable = new(false)
	}
	if e.RetryAfter > 0 || status == nethttp.StatusServiceUnavailable {
		seconds := max(1, int64(math.Ceil(e.RetryAfter.Seconds())))
		h["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
	}
	body, err := json.Marshal(p)
	if err != nil { // details that are not JSON, text that is not UTF-8
		p.Details, p.Fields, p.Name = nil, nil, ""
		p.Type, p.Title = "about:blank", nethttp.StatusText(status)
		body, _ = json.Marshal(p) // what is left always encodes
	}
	h["Content-Type"] = []string{problemType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // who no longer listens needs no answer
}

// readProblem is the error that an answer of a status other than 2xx tells of.
func readProblem(status int, h nethttp.Header, body []byte) *transport.Error {
	e := &transport.Error{NotSent: h.Get(notBegunKey) == "1", NoRetry: strings.EqualFold(h.Get(pushbackKey), "never")}
	var p problem
	if !isProblem(h.Get("Content-Type")) || json.Unmarshal(body, &p) != nil {
		e.Code, e.Message, e.RetryAfter = codeOf(status), strangersText(status, h, body), retryAfter(h)
		return e
	}
	e.Code, e.Name, e.Message, e.Fields = p.Code, p.Name, p.Detail, p.Fields
	if len(p.Details) > 0 && p.Details.Kind() != 'n' {
		e.Details = p.Details
	}
	if e.Message == "" && p.Title != p.Name {
		e.Message = p.Title
	}
	e.RetryAfter = time.Duration(min(max(p.RetryAfterMS, 0), maxRetryAfter.Milliseconds())) * time.Millisecond
	if !isCode(e.Code) { // a stranger's problem, or a later version's code
		e.Code = codeOf(status)
		if p.RetryAfterMS == 0 {
			e.RetryAfter = retryAfter(h)
		}
	}
	return e
}

func isProblem(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(t), problemType)
}

// strangersText says what somebody answered who does not speak problems.
func strangersText(status int, h nethttp.Header, body []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d", status)
	if t := nethttp.StatusText(status); t != "" {
		b.WriteByte(' ')
		b.WriteString(t)
	}
	if status >= 300 && status < 400 {
		fmt.Fprintf(&b, ": redirects are not followed, this one to %s; give the peer's own URL", clip(h.Get("Location"), maxStranger))
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, clip(string(body), maxStranger))
	if text = strings.Join(strings.Fields(text), " "); text != "" {
		b.WriteString(": ")
		b.WriteString(text)
	}
	return b.String()
}

// retryAfter reads the header in its two forms, seconds and a date; 0 = it says nothing.
func retryAfter(h nethttp.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(v, 10, 32); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), maxRetryAfter)
	}
	at, err := nethttp.ParseTime(v)
	if err != nil {
		return 0
	}
	now := time.Now()
	if date, err := nethttp.ParseTime(h.Get("Date")); err == nil {
		now = date // the same clock
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// clip shortens s to at most n bytes of valid UTF-8 and a mark.
func clip(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
