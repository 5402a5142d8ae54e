package http

import (
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

// Request implements [transport.Caller]. peer is a base URL, "http://127.0.0.1:8080", with or without a path. Where a
// kept connection turns out to be closed before anything was written to it, another is used; nothing else is repeated.
// NotSent is set when the header was not written whole, or when the peer says that it did not begin.
func (c *Caller) Request(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, error) {
	answer, err := c.request(ctx, peer, e)
	if err != nil {
		err.Address, err.ID, err.Peer = e.Address, e.ID, shown(peer)
		return nil, err
	}
	return answer, nil
}

func (c *Caller) request(ctx context.Context, peer string, e *transport.Envelope) (*transport.Envelope, *transport.Error) {
	if !c.requests.enter() {
		return nil, closedError(true)
	}
	defer c.requests.leave()
	buffer := c.peers.buffers.Get().(*[]byte)
	defer c.peers.buffers.Put(buffer)
	t, m, failed := c.prepare(ctx, *buffer, peer, e)
	if failed != nil {
		return nil, failed
	}
	if cap(m.bytes) <= maxBuffer {
		*buffer = m.bytes
	}
	r, sent, err := c.exchange(ctx, t.place, m)
	if err != nil {
		return nil, c.failure(ctx, err, !sent)
	}
	return c.receive(ctx, peer, e.Address, r)
}

// message is a request as it is written.
type message struct {
	bytes []byte // the head and, of a small body, the body
	head  int    // bytes of the head
	rest  []byte // a large body
}

// prepare makes the request of e in buffer's memory, or says why there is none to be made.
func (c *Caller) prepare(ctx context.Context, buffer []byte, peer string, e *transport.Envelope) (*target, message, *transport.Error) {
	if err := e.Validate(); err != nil {
		return nil, message{}, &transport.Error{Code: transport.InvalidArgument, NotSent: true, Message: err.Error(), Cause: err}
	}
	if n, limit := len(e.Body), c.options.MaxBody; n > limit {
		return nil, message{}, unsendable("the body has %d bytes, the limit is %d", n, limit)
	}
	t, err := c.peers.target(peer, e.Address)
	if err != nil {
		return nil, message{}, unsendable("%v", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, message{}, contextError(err, true)
	}
	head := append(buffer[:0], t.head...) //nolint:gocritic // buffer is memory, not content
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline).Milliseconds()
		if left <= 0 {
			return nil, message{}, contextError(context.DeadlineExceeded, true)
		}
		head = appendNumber(head, timeoutKey, left)
	}
	head = appendEnvelope(head, e)
	head = appendNumber(head, "Content-Length", int64(len(e.Body)))
	head = append(head, "\r\n"...)
	if len(head) > maxHeaderBytes-headerRoom {
		return nil, message{}, unsendable("the headers have %d bytes on this wire, the limit is %d", len(head), maxHeaderBytes-headerRoom)
	}
	if len(e.Body) > gatherBelow {
		return t, message{head, len(head), e.Body}, nil
	}
	return t, message{append(head, e.Body...), len(head), nil}, nil
}

// exchange sends a request and reads its answer. sent is false when the peer cannot have seen the whole head, without
// which nobody begins.
func (c *Caller) exchange(ctx context.Context, where place, m message) (r reply, sent bool, err error) {
	for {
		conn, kept, err := c.peers.get(ctx, where)
		if err != nil {
			return reply{}, false, err
		}
		r, written, err := conn.exchange(ctx, m, c.options.MaxBody)
		if err != nil && written == 0 && kept && ctx.Err() == nil {
			continue // the peer closed it a moment ago: another takes the request that nobody saw
		}
		return r, written >= int64(m.head), err
	}
}

// receive makes an answer or an error of what came back from address at peer.
func (c *Caller) receive(ctx context.Context, peer, address string, r reply) (*transport.Envelope, *transport.Error) {
	switch {
	case (r.status < 200 || r.status > 299) && r.status != nethttp.StatusNotModified:
		return nil, readProblem(r.status, r.header, r.body) // of a body that is not whole, the status is the news
	case errors.Is(r.bodyErr, errTooLarge):
		return nil, &transport.Error{Code: transport.ResourceExhausted, Message: fmt.Sprintf("the answer is above the limit of %d bytes", c.options.MaxBody)}
	case r.bodyErr != nil:
		return nil, c.failure(ctx, r.bodyErr, false)
	}
	if v := r.header["Content-Encoding"]; len(v) > 0 && v[0] != "identity" {
		return nil, &transport.Error{Code: transport.Unknown, Message: fmt.Sprintf("the answer has Content-Encoding %q, which was not asked for", clip(v[0], 80))}
	}
	answer := &transport.Envelope{Body: r.body, ContentType: contentType(r.header)}
	if err := readAttributes(r.header, answer); err != nil {
		return nil, &transport.Error{Code: transport.Unknown, Message: fmt.Sprintf("the answer is malformed: %v", err)}
	}
	readReply(r, peer, address, answer)
	return answer, nil
}

// failure is what becomes of a request that got no answer.
func (c *Caller) failure(ctx context.Context, err error, notSent bool) *transport.Error {
	switch {
	case ctx.Err() != nil:
		return contextError(ctx.Err(), notSent)
	case errors.Is(err, os.ErrDeadlineExceeded): // the connection's clock was a little before the context's
		return contextError(context.DeadlineExceeded, notSent)
	case c.requests.isShut():
		return closedError(notSent)
	}
	e := &transport.Error{Code: transport.Unavailable, NotSent: notSent, Cause: err}
	if notSent {
		e.Message = "cannot be reached"
	} else {
		e.Message = "the connection broke before the answer"
	}
	return e
}

// shown is peer without a password.
func shown(peer string) string {
	if !strings.Contains(peer, "@") {
		return peer
	}
	u, err := url.Parse(peer)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}

func contextError(err error, notSent bool) *transport.Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &transport.Error{Code: transport.DeadlineExceeded, NotSent: notSent, Message: "no answer in time", Cause: err}
	}
	return &transport.Error{Code: transport.Canceled, NotSent: notSent, Message: "the caller gave up", Cause: err}
}

func closedError(notSent bool) *transport.Error {
	cause := transport.ErrClosed
	if notSent {
		cause = fmt.Errorf("%w: %w", transport.ErrClosed, transport.ErrNotSent)
	}
	return &transport.Error{Code: transport.Unavailable, NotSent: notSent, Message: "this Caller was closed", Cause: cause}
}

func unsendable(format string, args ...any) *transport.Error {
	return &transport.Error{Code: transport.InvalidArgument, NotSent: true, Message: fmt.Sprintf(format, args...)}
}
