package http

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	maxTargets  = 4096      // remembered at once: processes that come and go have ever new ports
	maxBuffer   = 128 << 10 // bytes of a buffer that is kept
	gatherBelow = 64 << 10  // bytes of a body that is copied to go out in one write with its head
)

// peers holds the connections to others. net/http's Transport hands each request to a goroutine that writes and its
// answer to another that reads, which costs a small call a third of its time, and does not tell how much of a request
// was written; so connections are kept and used here, and net/http reads the answers.
type peers struct {
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	tls     *tls.Config
	end     context.CancelFunc // ends dials
	bind    func(context.Context) (context.Context, context.CancelFunc)
	buffers sync.Pool // *[]byte, for heads of requests

	mu    sync.Mutex
	open  map[*conn]bool    // nil = closed
	idle  map[place][]*conn // of open; the last used is last
	timer *time.Timer       // runs reap; nil while nothing is idle

	targetsMu sync.RWMutex
	targets   map[targetKey]*target
}

// place is where connections lead.
type place struct {
	address string // host:port
	tls     bool
}

// target is an address at a peer.
type target struct {
	place place
	head  []byte // the request line and the headers that never change; read only
}

type targetKey struct{ peer, address string }

func newPeers(o Options) *peers {
	life, end := context.WithCancel(context.Background())
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	config.NextProtos = []string{"http/1.1"}
	return &peers{
		connect: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		tls:     config,
		end:     end,
		bind: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := context.AfterFunc(life, cancel)
			return ctx, func() { stop(); cancel() }
		},
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		open:    make(map[*conn]bool),
		idle:    make(map[place][]*conn),
		targets: make(map[targetKey]*target),
	}
}

// target is address at peer.
func (p *peers) target(peer, address string) (*target, error) {
	key := targetKey{peer, address}
	p.targetsMu.RLock()
	t := p.targets[key]
	p.targetsMu.RUnlock()
	if t != nil {
		return t, nil
	}
	u, err := parsePeer(peer)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	t = &target{
		place: place{net.JoinHostPort(u.Hostname(), port), u.Scheme == "https"},
		head: fmt.Appendf(nil, "POST %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: parley\r\n",
			strings.TrimSuffix(u.EscapedPath(), "/"), pathOf(address), u.Host),
	}
	p.targetsMu.Lock()
	defer p.targetsMu.Unlock()
	if len(p.targets) >= maxTargets {
		clear(p.targets)
	}
	p.targets[key] = t
	return t, nil
}

// get is a connection to where that nobody else uses: a kept one that still stands, or a new one.
func (p *peers) get(ctx context.Context, where place) (c *conn, kept bool, err error) {
	for {
		c, err := p.pop(where)
		switch {
		case err != nil:
			return nil, false, err
		case c == nil:
			c, err = p.dial(ctx, where)
			return c, false, err
		case time.Since(c.used) < idleClient && c.alive():
			return c, true, nil
		}
		_ = c.Close() // the other side is gone, or soon will be
	}
}

func (p *peers) pop(where place) (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return nil, transport.ErrClosed
	}
	kept := p.idle[where]
	if len(kept) == 0 {
		return nil, nil
	}
	last := len(kept) - 1
	c := kept[last]
	kept[last] = nil
	p.idle[where] = kept[:last]
	return c, nil
}

// put keeps c, on which nothing is under way, for the next request to its place.
func (p *peers) put(c *conn) {
	p.mu.Lock()
	full := p.open == nil || len(p.idle[c.place]) >= idlePerPeer
	if !full {
		c.used = time.Now()
		p.idle[c.place] = append(p.idle[c.place], c)
		if p.timer == nil {
			p.timer = time.AfterFunc(idleClient, p.reap)
		}
	}
	p.mu.Unlock()
	if full {
		_ = c.Close() // it has nothing to lose
	}
}

// reap closes what was idle for too long. The timer runs it for as long as anything is idle.
func (p *peers) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if p.open == nil {
		return
	}
	for where, kept := range p.idle {
		for len(kept) > 0 && time.Since(kept[0].used) >= idleClient {
			delete(p.open, kept[0])
			_ = kept[0].Conn.Close() // it has nothing to lose
			kept = kept[1:]
		}
		if p.idle[where] = kept; len(kept) == 0 {
			delete(p.idle, where)
		}
	}
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(idleClient/2, p.reap)
	}
}

func (p *peers) dial(ctx context.Context, where place) (*conn, error) {
	ctx, cancel := p.bind(ctx)
	defer cancel()
	raw, err := p.connect(ctx, "tcp", where.address)
	if err != nil {
		return nil, err
	}
	c := newConn(p, where, raw)
	if where.tls {
		if err := p.secure(ctx, c); err != nil {
			_ = raw.Close() // nothing was said on it
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		_ = raw.Close() // nothing was said on it
		return nil, transport.ErrClosed
	}
	p.open[c] = true
	return c, nil
}

func (p *peers) secure(ctx context.Context, c *conn) error {
	config := p.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(c.place.address) // it was joined above
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secured := tls.Client(c.Conn, config)
	c.Conn = secured
	return secured.HandshakeContext(ctx)
}

// close cuts all connections and dials; there will be no others. Closing twice is fine.
func (p *peers) close() {
	p.end()
	p.mu.Lock()
	open := p.open
	p.open, p.idle = nil, nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close() // who uses it sees it closed
	}
}
