package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Ways of a network to fail.
type weather struct {
	name     string
	up, down way  // from clients to the broker, and back
	reset    bool // connections are reset, those that are made too
}

// way is what becomes of bytes in one direction. The zero way passes them on.
type way struct {
	silent bool          // nothing passes, nothing fails
	delay  time.Duration // each piece comes later by that
	rate   int           // bytes a second; 0 = any
}

// proxy stands between clients and the broker. Its methods may be called concurrently.
type proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	broker  string
	now     weather
	changed chan struct{}
	open    map[net.Conn]bool
	closed  bool
}

func newProxy() (*proxy, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, changed: make(chan struct{}), open: make(map[net.Conn]bool)}
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// to says where the broker is, host:port.
func (p *proxy) to(broker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broker = broker
}

// set changes the weather for what passes from now on.
func (p *proxy) set(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = w
	close(p.changed)
	p.changed = make(chan struct{})
	if w.reset {
		p.drop()
	}
}

// close ends everything and returns when it has ended.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	close(p.changed)
	p.changed = make(chan struct{})
	p.drop()
	p.mu.Unlock()
	p.running.Wait()
}

// drop resets all connections. mu is held.
func (p *proxy) drop() {
	for c := range p.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // so that a reset is sent
		}
		_ = c.Close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve passes on what one connection sends, in both directions, until either side ends.
func (p *proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.forget(client)
	p.mu.Lock()
	to := p.broker
	p.mu.Unlock()
	dialer := net.Dialer{Timeout: 5 * time.Second}
	broker, err := dialer.DialContext(context.Background(), "tcp", to)
	if err != nil || !p.keep(broker) {
		return
	}
	defer p.forget(broker)
	var both sync.WaitGroup
	both.Go(func() { p.pass(broker, client, func(w weather) way { return w.up }) })
	both.Go(func() { p.pass(client, broker, func(w weather) way { return w.down }) })
	both.Wait()
}

// pass copies until one side ends, and then ends the other.
func (p *proxy) pass(to, from net.Conn, which func(weather) way) {
	defer to.Close()   //nolint:errcheck // it may be closed
	defer from.Close() //nolint:errcheck // it may be closed
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && (!p.weather(n, which) || !write(to, buffer[:n])) {
			return
		}
		if err != nil {
			return
		}
	}
}

func write(to io.Writer, b []byte) bool {
	_, err := to.Write(b)
	return err == nil
}

// weather waits as long as the present weather holds n bytes up; false where the proxy is closed.
func (p *proxy) weather(n int, which func(weather) way) bool {
	for {
		p.mu.Lock()
		now, changed, closed := which(p.now), p.changed, p.closed
		p.mu.Unlock()
		switch {
		case closed:
			return false
		case now.silent:
			<-changed
			continue
		}
		hold := now.delay
		if now.rate > 0 {
			hold += time.Duration(n) * time.Second / time.Duration(now.rate)
		}
		if hold > 0 {
			select {
			case <-time.After(hold):
			case <-changed:
			}
		}
		return true
	}
}

// keep reports whether a connection is to be served; else it is closed.
func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.now.reset {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	_ = c.Close() // it may be closed
}
