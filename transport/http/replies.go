package http

import (
	"math"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// isReply reports whether an attribute belongs to the [transport.Reply] of an answer, for which HTTP has its own headers.
func isReply(name string) bool {
	switch name {
	case transport.HeaderStatus, transport.HeaderLocation, transport.HeaderRetryAfter, transport.HeaderETag, transport.HeaderPreferenceApplied:
		return true
	}
	return false
}

// setReply sets the headers of a valid reply to r and returns how many bytes they have.
func (c *Caller) setReply(h nethttp.Header, r *nethttp.Request, reply transport.Reply) (size int) {
	set := func(key, value string) {
		h[key] = []string{value}
		size += len(key) + len(value) + len(": \r\n")
	}
	if reply.Location != "" {
		location := reply.Location
		if location[0] == '/' {
			location = c.root(r) + location
		}
		set("Location", location)
		set("Operation-Location", location) // Azure's name for it
	}
	if reply.RetryAfter > 0 {
		set("Retry-After", strconv.FormatInt(int64(reply.RetryAfter/time.Second), 10))
	}
	if reply.ETag != "" {
		set("Etag", `"`+reply.ETag+`"`)
	}
	if reply.Applied != "" {
		set("Preference-Applied", reply.Applied)
		set("Vary", "Prefer") // a cache must not give this answer to who prefers another
	}
	return size
}

// root is the URL under which the sender of r reaches what is served here, without a slash at its end: Options.Advertise
// where its host is the one that was asked for, else what the connection says. Forwarded and X-Forwarded headers are
// not believed, since anybody can send them.
func (c *Caller) root(r *nethttp.Request) string {
	if u, err := url.Parse(c.options.Advertise); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
		return c.options.Advertise
	}
	asked, _, _ := strings.Cut(r.RequestURI, "?")
	prefix, ok := strings.CutSuffix(asked, r.URL.EscapedPath()) // what a mux above has stripped
	if !ok || !strings.HasPrefix(prefix, "/") {
		prefix = ""
	}
	switch {
	case r.Host == "": // of HTTP/1.0: the path alone has to do
		return prefix
	case r.TLS != nil:
		return "https://" + r.Host + prefix
	}
	return "http://" + r.Host + prefix
}

// readReply is the reverse of setReply for an answer from address at peer. What setReply would not have set is ignored.
func readReply(r reply, peer, address string, answer *transport.Envelope) {
	transport.Reply{}.Set(answer) // HTTP's own headers say it, and no other
	take := func(name, value string) {
		if value == "" || len(value) > transport.MaxHeaderBytes {
			return
		}
		if _, err := transport.ReplyOf(&transport.Envelope{Headers: map[string]string{name: value}}); err != nil {
			return
		}
		if answer.Headers == nil {
			answer.Headers = make(map[string]string)
		}
		answer.Headers[name] = value
	}
	if r.status != nethttp.StatusOK && r.status != nethttp.StatusNoContent {
		take(transport.HeaderStatus, strconv.Itoa(r.status))
	}
	if v := r.header["Location"]; len(v) > 0 {
		take(transport.HeaderLocation, located(v[0], peer, address))
	}
	if after := retryAfter(r.header); after > 0 {
		take(transport.HeaderRetryAfter, strconv.FormatInt(int64(math.Ceil(after.Seconds())), 10))
	}
	if v := r.header["Etag"]; len(v) > 0 {
		// Proxies make a tag weak when they touch the body; If-None-Match compares weakly.
		if tag := strings.TrimPrefix(v[0], "W/"); len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
			take(transport.HeaderETag, tag[1:len(tag)-1])
		}
	}
	if v := r.header["Preference-Applied"]; len(v) > 0 {
		take(transport.HeaderPreferenceApplied, strings.Join(v, ", "))
	}
}

// located is a Location as address at peer meant it: from the root of the peer if it leads there, else absolute.
func located(location, peer, address string) string {
	root, err := parsePeer(peer)
	if err != nil {
		return ""
	}
	to, err := url.Parse(location)
	if err != nil {
		return ""
	}
	if !to.IsAbs() {
		asked := url.URL{Scheme: root.Scheme, Host: root.Host, Path: strings.TrimSuffix(root.Path, "/") + pathOf(address)}
		location = asked.ResolveReference(to).String()
	}
	path, ok := strings.CutPrefix(location, root.Scheme+"://"+root.Host+strings.TrimSuffix(root.EscapedPath(), "/"))
	if ok && strings.HasPrefix(path, "/") {
		return path
	}
	return location
}
