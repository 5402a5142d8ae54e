package http

import (
	"cmp"
	"fmt"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// Header keys in net/http's canonical form, so that maps are used directly.
const (
	timeoutKey     = "Request-Timeout-Ms"
	attemptKey     = "Retry-Attempt"
	pushbackKey    = "Retry-Pushback"
	notBegunKey    = "Parley-Not-Begun"
	messageIDKey   = "Parley-Message-Id"
	idempotencyKey = "Idempotency-Key"
	operationIDKey = "Operation-Id"
	traceKey       = "Traceparent"
	traceStateKey  = "Tracestate"
	baggageKey     = "Baggage"
	attributeStart = "Ce-"
)

// Values that are written often; read only.
var (
	yes       = []string{"1"}
	never     = []string{"never"}
	jsonValue = []string{jsonType}
)

const (
	jsonType = "application/json"
	jsonUTF8 = "application/json; charset=utf-8"
)

// attributesOf yields e's attributes as HTTP carries them: those that have a header of their own there are left out. An
// answer without an ID is no event: only what it has is yielded.
func attributesOf(e *transport.Envelope, yield func(name, value string)) {
	for name, value := range e.Attributes {
		switch name {
		case "datacontenttype":
			continue
		case "traceparent":
			if isTraceparent(value) {
				continue
			}
		case "specversion":
			if e.ID == "" {
				continue
			}
		case "source":
			if e.ID == "" && e.Source == "" {
				continue
			}
		}
		yield(name, transport.EscapeAttribute(value))
	}
}

// appendEnvelope appends the header lines of a request. Nothing in them can break a line: an envelope that passed
// Validate has attribute names of a-z and 0-9 and a content type without control characters, and values are escaped.
func appendEnvelope(b []byte, e *transport.Envelope) []byte {
	b = appendLine(b, "Content-Type", cmp.Or(e.ContentType, jsonType))
	attributesOf(e, func(name, value string) {
		b = append(b, "ce-"...)
		b = appendLine(b, name, value)
	})
	if isTraceparent(e.Trace) {
		b = appendLine(b, traceKey, e.Trace)
	}
	if len(e.Headers) > 0 { // for whoever reads only the standard's
		for key, name := range map[string]string{traceStateKey: "tracestate", baggageKey: "baggage"} {
			if v := e.Headers[name]; v != "" && isASCII(v) {
				b = appendLine(b, key, v)
			}
		}
	}
	if e.Attempt > 1 {
		b = appendNumber(b, attemptKey, int64(e.Attempt-1))
	}
	return b
}

func appendLine(b []byte, key, value string) []byte {
	b = append(b, key...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func appendNumber(b []byte, key string, n int64) []byte {
	b = append(b, key...)
	b = append(b, ": "...)
	b = strconv.AppendInt(b, n, 10)
	return append(b, "\r\n"...)
}

// setEnvelope sets the headers of an answer but those of its Reply, and returns how many bytes they have.
func setEnvelope(h nethttp.Header, e *transport.Envelope) (size int) {
	h["Content-Type"] = jsonValue
	if e.ContentType != "" && e.ContentType != jsonType {
		h["Content-Type"] = []string{e.ContentType}
	}
	attributesOf(e, func(name, value string) {
		if isReply(name) {
			return
		}
		h[attributeStart+strings.ToUpper(name[:1])+name[1:]] = []string{value}
		size += len(name) + len(value) + len("ce-: \r\n")
	})
	if isTraceparent(e.Trace) {
		h[traceKey] = []string{e.Trace}
	}
	return size
}

// readAttributes is the reverse of [appendEnvelope] and [setEnvelope].
func readAttributes(h nethttp.Header, e *transport.Envelope) error {
	for key, values := range h {
		name, ok := strings.CutPrefix(key, attributeStart)
		if !ok || name == "" {
			continue
		}
		name = attributeName(name)
		if len(values) != 1 {
			return fmt.Errorf("header ce-%s: given %d times, want once", clip(name, 80), len(values))
		}
		value, err := transport.UnescapeAttribute(values[0])
		if err != nil {
			return fmt.Errorf("header ce-%s: got %q, want percent-encoding as in CloudEvents", clip(name, 80), clip(values[0], 80))
		}
		if name == "datacontenttype" {
			continue // HTTP says it in Content-Type
		}
		if err := e.SetAttribute(name, value); err != nil {
			return err
		}
	}
	if v := h[traceKey]; len(v) == 1 && isTraceparent(v[0]) {
		e.Trace = v[0]
	}
	keep(h, traceStateKey, ",", e, "tracestate")
	keep(h, baggageKey, ",", e, "baggage")
	return nil
}

// attributeName is the name of an attribute whose header key ends in s: net/http writes the first letter large.
func attributeName(s string) string {
	switch s { // of every request: no new string for these
	case "Id":
		return "id"
	case "Source":
		return "source"
	case "Specversion":
		return "specversion"
	case "Type":
		return "type"
	case "Time":
		return "time"
	case "Correlationid":
		return "correlationid"
	case "Causationid":
		return "causationid"
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// keep stores a header of HTTP in e. Those that no envelope carries are ignored.
func keep(h nethttp.Header, key, between string, e *transport.Envelope, name string) {
	values := h[key]
	if len(values) == 0 {
		return
	}
	if v := strings.Join(values, between); v != "" && isASCII(v) && len(v) <= transport.MaxHeaderBytes {
		if e.Headers == nil {
			e.Headers = make(map[string]string)
		}
		e.Headers[name] = v
	}
}

// readTimeoutHeader is the time that the caller still waits; ok is false when it does not say.
func readTimeoutHeader(h nethttp.Header) (left time.Duration, ok bool, err error) {
	v := h[timeoutKey]
	if len(v) == 0 {
		return 0, false, nil
	}
	ms, err := strconv.ParseInt(v[0], 10, 64)
	if err != nil || ms > int64(1<<63-1)/int64(time.Millisecond) {
		return 0, false, fmt.Errorf("header %s: got %q, want milliseconds", timeoutKey, clip(v[0], 80))
	}
	return time.Duration(max(ms, 0)) * time.Millisecond, true, nil
}

// readAttempt reads Retry-Attempt where the envelope itself does not say.
func readAttempt(h nethttp.Header, e *transport.Envelope) error {
	v := h[attemptKey]
	if len(v) == 0 || e.Attempt != 0 {
		return nil
	}
	n, err := strconv.ParseUint(v[0], 10, 30)
	if err != nil {
		return fmt.Errorf("header %s: got %q, want a number", attemptKey, clip(v[0], 80))
	}
	e.Attempt = int(n) + 1
	return nil
}

// contentType is the header's value, application/json in one spelling.
func contentType(h nethttp.Header) string {
	v := h["Content-Type"]
	if len(v) == 0 {
		return ""
	}
	if strings.EqualFold(v[0], jsonType) || strings.EqualFold(v[0], jsonUTF8) {
		return jsonType
	}
	return v[0]
}

// isTraceparent reports whether s is a W3C traceparent of version 00: 00-TRACE-SPAN-FLAGS in lower-case hex.
func isTraceparent(s string) bool {
	if len(s) != 55 || s[:3] != "00-" {
		return false
	}
	for i := 3; i < len(s); i++ {
		c := s[i]
		if dash := i == 35 || i == 52; dash != (c == '-') {
			return false
		} else if !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// isASCII reports whether s is printable ASCII.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
