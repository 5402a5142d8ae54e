package transport

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Attributes yields e as CloudEvents 1.0 attributes in a fixed order, without those that are empty: first the
// attributes of the specification (specversion, id, source, type, subject, time, datacontenttype, traceparent), then
// Parley's own, then Headers in no order. A driver adds its protocol's prefix ("ce-", "ce_", "cloudEvents:"), gives
// datacontenttype the protocol's own place, and passes values through [EscapeAttribute] where the protocol's
// headers are ASCII.
func (e *Envelope) Attributes(yield func(name, value string) bool) {
	put := func(name, value string) bool { return value == "" || yield(name, value) }
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	source := e.Source
	if source == "" {
		source = "unknown" // CloudEvents wants one
	}
	ok := yield("specversion", "1.0") &&
		put("id", e.ID) &&
		put("source", source) &&
		put("type", e.Address) &&
		put("subject", e.Key) &&
		put("time", stamp(e.Time)) &&
		put("datacontenttype", e.ContentType) &&
		put("traceparent", e.Trace) &&
		put("correlationid", e.Correlation) &&
		put("causationid", e.Causation) &&
		put("parleycopy", e.Copy) &&
		put("parleygroup", e.Group) &&
		put("parleynotbefore", stamp(e.NotBefore)) &&
		put("parleylifetime", number(int64((e.Lifetime+time.Millisecond-1)/time.Millisecond))) &&
		put("parleyattempt", attempt(e.Attempt))
	if !ok {
		return
	}
	for k, v := range e.Headers {
		if !yield(k, v) { // an empty value is a value
			return
		}
	}
}

// SetAttribute is the reverse of [Envelope.Attributes]: it stores one attribute where it belongs, an unknown one in
// Headers. What came from a wire is checked with [Envelope.Validate] once all are set. It fails on a value that does
// not fit the attribute, so that a foreign event is refused and not guessed at.
func (e *Envelope) SetAttribute(name, value string) (err error) {
	switch name {
	case "specversion":
		if value != "1.0" && !strings.HasPrefix(value, "1.0.") {
			return fmt.Errorf("attribute specversion: got %q, want 1.0", clip(value))
		}
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Address = value
	case "subject":
		e.Key = value
	case "time":
		e.Time, err = parseStamp(name, value)
	case "datacontenttype":
		e.ContentType = value
	case "traceparent":
		e.Trace = value
	case "correlationid":
		e.Correlation = value
	case "causationid":
		e.Causation = value
	case "parleycopy":
		e.Copy = value
	case "parleygroup":
		e.Group = value
	case "parleynotbefore":
		e.NotBefore, err = parseStamp(name, value)
	case "parleylifetime":
		var ms int64
		if ms, err = parseCount(name, value, int64(1<<63-1)/int64(time.Millisecond)); err == nil {
			e.Lifetime = time.Duration(ms) * time.Millisecond
		}
	case "parleyattempt":
		var n int64
		n, err = parseCount(name, value, maxAttempt)
		e.Attempt = int(n)
	default:
		if e.Headers == nil {
			e.Headers = make(map[string]string)
		}
		e.Headers[name] = value
	}
	return err
}

// reserved are the attributes that Headers must not hold, because the envelope has a field for them or CloudEvents does.
var reserved = map[string]bool{
	"specversion": true, "id": true, "source": true, "type": true, "subject": true, "time": true,
	"datacontenttype": true, "data": true, "traceparent": true,
	"correlationid": true, "causationid": true, "parleycopy": true, "parleygroup": true,
	"parleynotbefore": true, "parleylifetime": true, "parleyattempt": true,
}

// EscapeAttribute percent-encodes what the CloudEvents HTTP binding (section 3.1.3.2) wants encoded: space, double
// quote, percent, and everything outside U+0021..U+007E.
func EscapeAttribute(s string) string {
	escape := func(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }
	n := 0
	for i := range len(s) {
		if escape(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; escape(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// UnescapeAttribute is the reverse of [EscapeAttribute]. A malformed escape is an error.
func UnescapeAttribute(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	return url.PathUnescape(s)
}

// attempt leaves out the first, which is what an absent one reads as.
func attempt(n int) string {
	if n <= 1 {
		return ""
	}
	return strconv.Itoa(n)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func parseStamp(name, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("attribute %s: got %q, want a time as in RFC 3339", name, clip(s))
	}
	return t, nil
}

func parseCount(name, s string, limit int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > limit {
		return 0, fmt.Errorf("attribute %s: got %q, want a number from 0 to %d", name, clip(s), limit)
	}
	return n, nil
}
