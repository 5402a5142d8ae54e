package transport

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Headers of a request that an HTTP driver takes from anybody's request of the same meaning, as they are: lists are
// joined by ", ". They are claims and hints, and may be malformed.
const (
	HeaderPrefer      = "prefer"      // as in RFC 7240: "respond-async, wait=20"
	HeaderIfNoneMatch = "ifnonematch" // as in RFC 9110: `"7"`, `W/"7", "8"` or "*"
)

// Headers of an answer that have a meaning of their own; [Reply] has them by type.
const (
	HeaderStatus            = "status"
	HeaderLocation          = "location"
	HeaderRetryAfter        = "retryafter"
	HeaderETag              = "etag"
	HeaderPreferenceApplied = "preferenceapplied"
)

// MaxRetryAfter bounds Reply.RetryAfter.
const MaxRetryAfter = 24 * time.Hour

// Reply is what an answer says beside its body, in the words of HTTP. It crosses in reserved Headers of the answer; a
// driver that has words of its own for them translates, any other carries them. An answer with an invalid one arrives
// as Internal. The zero Reply is an ordinary answer.
type Reply struct {
	// Status is one of HTTP: 200 to 299, or 304. 204 and 304 have no body. 0 = 200, or 204 without a body; these two
	// may arrive as 0.
	Status int
	// Location is where to look for what comes of the request: an escaped path from the root of the peer,
	// "/orders/v1/fulfil/7", or an http or https URL. A URL on the peer may arrive as such a path. "" = none.
	Location string
	// RetryAfter is when to look again, in whole seconds, at most MaxRetryAfter. 0 = it does not say.
	RetryAfter time.Duration
	// ETag names the state that the body shows: visible ASCII without quotes. "" = none.
	ETag string
	// Applied lists the preferences of the request that were honoured, as in RFC 7240: "wait=20". "" = none.
	Applied string
}

// ReplyOf is the Reply of an answer. Its error says what is invalid; the rest is as it came.
func ReplyOf(e *Envelope) (r Reply, err error) {
	if len(e.Headers) == 0 {
		return Reply{}, nil
	}
	bad := func(name, want string) {
		if err == nil {
			err = fmt.Errorf("header %q of an answer: got %q, want %s", name, clip(e.Headers[name]), want)
		}
	}
	if v, ok := e.Headers[HeaderStatus]; ok {
		r.Status, _ = strconv.Atoi(v) // 0 is none of HTTP
		if noBody := r.Status == 204 || r.Status == 304; len(v) != 3 || r.Status != 304 && r.Status/100 != 2 {
			bad(HeaderStatus, "200 to 299, or 304")
		} else if noBody && len(e.Body) > 0 {
			bad(HeaderStatus, "one that has a body, as the answer has")
		}
	}
	if v, ok := e.Headers[HeaderLocation]; ok {
		if r.Location = v; !isLocation(v) {
			bad(HeaderLocation, "an escaped path from the root, or an http or https URL")
		}
	}
	if v, ok := e.Headers[HeaderRetryAfter]; ok {
		n, failed := parseCount(HeaderRetryAfter, v, int64(MaxRetryAfter/time.Second))
		if r.RetryAfter = time.Duration(n) * time.Second; failed != nil {
			bad(HeaderRetryAfter, "seconds of at most a day")
		}
	}
	if v, ok := e.Headers[HeaderETag]; ok {
		if r.ETag = v; !visible(v) || strings.Contains(v, `"`) {
			bad(HeaderETag, "visible ASCII without quotes")
		}
	}
	if v, ok := e.Headers[HeaderPreferenceApplied]; ok {
		if r.Applied = v; !visible(strings.ReplaceAll(v, " ", "")) {
			bad(HeaderPreferenceApplied, "preferences in ASCII")
		}
	}
	return r, err
}

// Set makes r the Reply of e: it writes the headers of what r says and removes those of what it does not. A fraction of
// a second in RetryAfter counts as a whole one.
func (r Reply) Set(e *Envelope) {
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	for _, h := range [...]struct{ name, value string }{
		{HeaderStatus, number(int64(r.Status))},
		{HeaderLocation, r.Location},
		{HeaderRetryAfter, number(int64((r.RetryAfter + time.Second - 1) / time.Second))},
		{HeaderETag, r.ETag},
		{HeaderPreferenceApplied, r.Applied},
	} {
		if h.value == "" {
			delete(e.Headers, h.name)
			continue
		}
		if e.Headers == nil {
			e.Headers = make(map[string]string)
		}
		e.Headers[h.name] = h.value
	}
}

// PreferredWait is how long the one who asks would wait for the answer, as "Prefer: wait=20" says, in seconds as in RFC
// 7240, but at most that long; ok is false where it says nothing. The answer says so in Reply.Applied.
func PreferredWait(request *Envelope, most time.Duration) (wait time.Duration, ok bool) {
	for preference := range strings.SplitSeq(request.Headers[HeaderPrefer], ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
		seconds, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
		if err == nil && seconds >= 0 && strings.EqualFold(strings.TrimSpace(name), "wait") {
			return time.Duration(min(seconds, int(most/time.Second))) * time.Second, true
		}
	}
	return 0, false
}

// AppliedWait is what Reply.Applied says of a wait that was honoured.
func AppliedWait(wait time.Duration) string { return fmt.Sprintf("wait=%d", int(wait.Seconds())) }

// KnownRevision is the revision that the one who asks has already, where ETags are revisions: a number in If-None-Match.
// -1 and false: there is none.
func KnownRevision(request *Envelope) (revision int64, ok bool) {
	tag := strings.Trim(strings.TrimPrefix(strings.TrimSpace(request.Headers[HeaderIfNoneMatch]), "W/"), `"`)
	n, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || n < 0 {
		return -1, false
	}
	return n, true
}

func isLocation(s string) bool {
	u, err := url.Parse(s)
	switch {
	case err != nil || !visible(s):
		return false
	case u.Scheme == "" && u.Host == "":
		return strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//")
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
