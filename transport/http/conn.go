package http

import (
	"bufio"
	"context"
	"errors"
	"math"
	"net"
	nethttp "net/http"
	"syscall"
	"time"
)

// conn is a connection to a peer, for one request at a time.
type conn struct {
	net.Conn
	peers  *peers
	place  place
	socket syscall.RawConn // nil where it has none
	reader *bufio.Reader
	used   time.Time // when it became idle

	readable int64 // bytes that may still be read: a bound for the head of an answer
	probe    func(fd uintptr)
	stands   bool // what probe found
}

// reply is what a peer answered.
type reply struct {
	status  int
	header  nethttp.Header
	body    []byte
	bodyErr error // the body is not whole: errTooLarge, or how the connection broke
}

var errHeaderTooLarge = errors.New("the header of the answer is too large")

func newConn(p *peers, where place, raw net.Conn) *conn {
	c := &conn{Conn: raw, peers: p, place: where}
	c.reader = bufio.NewReader(bounded{c})
	c.probe = c.peek
	if s, ok := raw.(syscall.Conn); ok {
		if socket, err := s.SyscallConn(); err == nil {
			c.socket = socket
		}
	}
	return c
}

// bounded reads from a connection what it may still read.
type bounded struct{ c *conn }

func (b bounded) Read(p []byte) (int, error) {
	if b.c.readable <= 0 {
		return 0, errHeaderTooLarge
	}
	n, err := b.c.Conn.Read(p)
	b.c.readable -= int64(n)
	return n, err
}

// Close closes the connection and forgets it.
func (c *conn) Close() error {
	c.peers.mu.Lock()
	delete(c.peers.open, c)
	c.peers.mu.Unlock()
	return c.Conn.Close()
}

// exchange writes a request and reads its answer, until ctx is done. written counts the bytes of the request that may
// have left. Afterwards the connection is kept or closed: it belongs to the caller no more.
func (c *conn) exchange(ctx context.Context, m message, limit int) (r reply, written int64, err error) {
	reusable := false
	deadline, _ := ctx.Deadline() // the zero time lifts the last request's
	err = c.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, c.abort)
	defer func() {
		if stop() && reusable {
			c.peers.put(c)
		} else {
			_ = c.Close() // who waits for the request at the other end sees that nobody waits here
		}
	}()
	if err != nil {
		return reply{}, 0, err
	}
	if written, err = c.write(m); err != nil && written <= int64(m.head) {
		return reply{}, written, err
	}
	// A peer that refuses a large body answers before it has read all of it.
	r, reusable, readErr := c.read(limit)
	if readErr != nil {
		return reply{}, written, errors.Join(err, readErr)
	}
	reusable = reusable && err == nil
	return r, written, nil
}

func (c *conn) write(m message) (int64, error) {
	if m.rest != nil {
		both := net.Buffers{m.bytes, m.rest}
		return both.WriteTo(c.Conn)
	}
	n, err := c.Conn.Write(m.bytes)
	return int64(n), err
}

func (c *conn) read(limit int) (r reply, reusable bool, err error) {
	c.readable = maxHeaderBytes
	var response *nethttp.Response
	for response == nil || response.StatusCode < 200 && response.StatusCode != nethttp.StatusSwitchingProtocols {
		// Close would read a body of any size; the connection is closed instead.
		if response, err = nethttp.ReadResponse(c.reader, nil); err != nil { //nolint:bodyclose // see above
			return reply{}, false, err
		}
	}
	c.readable = math.MaxInt64 // readBody has its own bound
	r = reply{status: response.StatusCode, header: response.Header}
	r.body, r.bodyErr = readBody(response.Body, response.ContentLength, limit)
	reusable = r.bodyErr == nil && !response.Close && r.status >= 200 && c.reader.Buffered() == 0
	return r, reusable, nil
}

// abort makes whatever runs on the connection fail now.
func (c *conn) abort() { _ = c.SetDeadline(time.Unix(1, 0)) } // fails only when it is closed already

// alive reports whether an idle connection still stands: the peer has neither closed it nor said anything unasked.
func (c *conn) alive() bool {
	if c.socket == nil {
		return false
	}
	c.stands = false
	return c.socket.Control(c.probe) == nil && c.stands
}
