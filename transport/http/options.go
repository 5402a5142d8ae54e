package http

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"net/url"
	"strings"
	"time"
)

// Limits and times that need no option, with their reasons.
const (
	defaultMaxBody    = 1 << 20          // bytes
	defaultMaxTimeout = 30 * time.Second // nobody waits longer for a page or a form

	dialTimeout      = time.Second
	handshakeTimeout = 2 * time.Second
	idlePerPeer      = 256              // connections kept for one peer; net/http's 2 opens one per call under load
	idleClient       = 90 * time.Second // below idleServer: the side that may send closes first, so no request meets a closing connection
	idleServer       = 120 * time.Second

	readHeaderTimeout = 5 * time.Second // against connections that send a header a byte a minute
	readTimeout       = 30 * time.Second
	writeTimeout      = 30 * time.Second // to send an answer, on top of the time for making it
	maxHeaderBytes    = 64 << 10
	headerRoom        = 4 << 10 // of maxHeaderBytes, for what net/http and proxies add

	leastTimeout  = 2 * time.Millisecond // with less left an answer does not get back in time
	drainingAfter = time.Second          // Retry-After of a draining process: its successor is being started
	closeGrace    = time.Second          // for answers in the socket and pages that stream, once no call runs
)

// Options of a [Caller]. The zero value makes requests and answers through [Caller.Handler] only.
type Options struct {
	// Listen is the address that the first Answer listens on, HOST:PORT; port 0 takes a free one. "" = no listener:
	// mount Handler somewhere.
	Listen string
	// Listener, if not nil, listens already, instead of Listen: its port is taken before anything else is begun. What it gets
	// waits for the first Answer. The Caller closes it.
	Listener net.Listener
	// Advertise is the base URL under which others reach this Caller, "https://shop.example.com/orders": what ready
	// gets. "" = "http://" and the listener's address. It must be set where Listen names every interface (":8080").
	Advertise string
	// MaxBody bounds the body of a request and of an answer, on both sides, in bytes. 0 = 1 MiB.
	MaxBody int
	// MaxTimeout bounds the time that a request may ask for, and is what one gets that does not ask. 0 = 30 s.
	MaxTimeout time.Duration
	// Wrap, if not nil, is put around everything that Handler and the listener serve, once: spans, access logs.
	Wrap func(nethttp.Handler) nethttp.Handler
	// TLS is for requests to https peers; nil = the system's roots. It is not changed.
	TLS *tls.Config
}

// normal fills in the defaults and reports everything that is wrong.
func (o Options) normal() (Options, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Listener != nil {
		o.Listen = o.Listener.Addr().String()
	}
	if o.Listen != "" {
		host, _, err := net.SplitHostPort(o.Listen)
		ip := net.ParseIP(host)
		switch {
		case err != nil:
			bad("Listen %q: want HOST:PORT, as in 127.0.0.1:0", o.Listen)
		case o.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()):
			bad("Listen %q is every interface: set Advertise to the URL under which others reach this process", o.Listen)
		}
	}
	if o.Advertise != "" {
		if _, err := parsePeer(o.Advertise); err != nil {
			bad("Advertise: %w", err)
		}
		o.Advertise = strings.TrimSuffix(o.Advertise, "/")
	}
	if o.MaxBody < 0 {
		bad("MaxBody %d: want bytes, or 0 for %d", o.MaxBody, defaultMaxBody)
	}
	if o.MaxTimeout < 0 {
		bad("MaxTimeout %v: want a time above zero, or 0 for %v", o.MaxTimeout, defaultMaxTimeout)
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.MaxTimeout == 0 {
		o.MaxTimeout = defaultMaxTimeout
	}
	return o, errors.Join(errs...)
}

// parsePeer reads the base URL of a peer. Its errors never show a password.
func parsePeer(peer string) (*url.URL, error) {
	u, err := url.Parse(peer)
	if err != nil {
		return nil, errors.New("peer: not a URL: want http://HOST:PORT")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || !isASCII(u.Host) || strings.Contains(u.Host, "%") || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("peer %q: want http://HOST:PORT or https://, with at most a path", u.Redacted())
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}
