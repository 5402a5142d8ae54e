package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-io/parley/transport"
)

// call is the state of one Do.
type call struct {
	client   *Client
	r        Request
	callee   *callee
	end      time.Time // deadline of the whole
	attempts int       // at the most
	tried    []*peer
	last     *transport.Error // of the attempt before
	recorded bool             // the ledger knows of it
}

// attempt sends the request to one instance.
func (k *call) attempt(ctx context.Context, n int, began time.Time) (*transport.Envelope, *transport.Error) {
	k.began(n, began)
	names := k.r.Peers()
	if len(names) == 0 {
		return nil, k.refused(k.nobody())
	}
	p, pass := k.callee.pick(names, k.tried, began)
	if p == nil {
		return nil, k.refused(k.allOpen(names, began))
	}
	return k.exchange(ctx, n, p, pass, began)
}

// exchange uses the permit of p. Whatever ends it, be it a panic or [runtime.Goexit], gives the permit back.
func (k *call) exchange(ctx context.Context, n int, p *peer, pass permit, began time.Time) (*transport.Envelope, *transport.Error) {
	v, ended := noVerdict, false
	ctx, cancel := k.attemptContext(ctx, began, n)
	defer func() {
		now := time.Now()
		p.leave(pass, began, now, v)
		cancel()
		if !ended {
			k.failed(n, began, now, &transport.Error{Code: transport.Unknown, Message: "a panic or Goexit ended the attempt"}, time.Time{})
		}
	}()
	e := k.r.Envelope
	if n > 1 {
		repeated := *e
		repeated.Attempt = n
		e = &repeated
	}
	answer, err := k.client.caller.Request(ctx, p.name, e)
	ended = true
	if err != nil {
		k.tried = append(k.tried, p)
		failed := k.errorOf(err, p)
		v = verdictOf(failed)
		return nil, failed
	}
	v = working
	k.succeeded(n, began)
	return answer, nil
}

// verdictOf is what a failed attempt says about the peer. An instance that sheds load answers quickly and says when
// to come back: a breaker on top would turn too many calls into none. Time that was over before the callee began was
// the caller's.
func verdictOf(e *transport.Error) verdict {
	switch e.Code {
	case transport.Unavailable:
		switch {
		case !e.NotSent:
			return failing
		case e.RetryAfter > 0:
			return noVerdict
		}
		return unreachable
	case transport.DeadlineExceeded:
		if e.NotSent {
			return noVerdict
		}
		return failing
	case transport.Canceled, transport.Unknown:
		return noVerdict
	}
	return working
}

// errorOf is a copy of err, which the caller may keep and share, with what was attempted.
func (k *call) errorOf(err error, p *peer) *transport.Error {
	var e transport.Error
	if known, ok := errors.AsType[*transport.Error](err); ok {
		e = *known
	} else {
		e = transport.Error{Code: transport.Unknown, Message: "the request failed", Cause: err}
	}
	e.Address, e.ID, e.Peer = k.r.Envelope.Address, k.r.Envelope.ID, p.name
	return &e
}

// own is an error that no callee gave: certainly nothing was sent.
func (k *call) own(code transport.Code, format string, args ...any) *transport.Error {
	return &transport.Error{
		Code: code, Message: fmt.Sprintf(format, args...), NotSent: true,
		Address: k.r.Envelope.Address, ID: k.r.Envelope.ID,
	}
}

// refused is the end of a call whose attempt could not even begin: why at the first, else the last real error.
func (k *call) refused(why *transport.Error) *transport.Error {
	if k.last == nil {
		why.NoRetry = true
		return why
	}
	spent(k.last, "not repeated: "+why.Message)
	return k.last
}

func (k *call) nobody() *transport.Error {
	return k.own(transport.Unavailable,
		"nobody answers %s: start a service that handles it on this network", k.r.Envelope.Address)
}

// allOpen names the breaker that probes first.
func (k *call) allOpen(names []string, now time.Time) *transport.Error {
	var first BreakerStatus
	for i, name := range names {
		s := k.callee.peer(name, now).status(now)
		if i == 0 || s.Until.Before(first.Until) {
			first = s
		}
	}
	which := fmt.Sprintf("the breaker of %s at %s is %s", first.Service, first.Peer, first.State)
	if len(names) > 1 {
		which = fmt.Sprintf("the breakers of all %d instances of %s refuse, %s is %s", len(names), first.Service, first.Peer, first.State)
	}
	wait := max(first.Until.Sub(now), 0)
	next := "a probe is running"
	if wait > 0 {
		next = fmt.Sprintf("it tries again in %v", wait.Round(100*time.Millisecond))
	}
	e := k.own(transport.Unavailable, "%s: %s", which, next)
	e.RetryAfter = wait
	return e
}

// late is a call that had no time from the beginning.
func (k *call) late(ctx context.Context) *transport.Error {
	if errors.Is(ctx.Err(), context.Canceled) {
		e := k.own(transport.Canceled, "the caller had given up before it was sent")
		e.Cause = context.Cause(ctx)
		return e
	}
	return k.own(transport.DeadlineExceeded, "the deadline had passed before it was sent: give it more time")
}

// interrupted is a call whose context ended while it waited to be repeated after e.
func (k *call) interrupted(ctx context.Context, e *transport.Error) *transport.Error {
	given := *e
	given.Code, given.Message, given.Cause = transport.Canceled, "the caller gave up before the next attempt", e
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		given.Code, given.Message = transport.DeadlineExceeded, "the deadline passed before the next attempt"
	}
	return &given
}
