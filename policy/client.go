package policy

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// Client makes calls that survive. It starts no goroutine. Safe for concurrent use.
type Client struct {
	caller  transport.Caller
	rec     ledger.Recorder
	silent  bool // rec keeps nothing
	o       Options
	callees sync.Map // service to *callee
	sampler sampler
}

// New returns a Client in front of c, which stays the caller's to close. rec takes what becomes of calls; nil =
// nothing is recorded. o must be valid, see [Options.Validate]; its zero value is the defaults.
func New(c transport.Caller, rec ledger.Recorder, o Options) *Client {
	if rec == nil {
		rec = ledger.Discard
	}
	return &Client{caller: c, rec: rec, silent: rec == ledger.Discard, o: o.withDefaults()}
}

// Request is one call.
type Request struct {
	// Envelope has an ID and an Address and is not changed. An attempt after the first sends a copy with its Attempt.
	Envelope *transport.Envelope
	// Service is the callee, which budget, breakers and ledger are named after.
	Service string
	// Peers are the instances that answer Envelope.Address now; it is asked before each attempt. The result is only
	// read.
	Peers func() []string
	// Idempotent: handling the request twice is as good as once, so it may be repeated when it may have been executed.
	Idempotent bool
	// Unrecorded requests do not appear in the ledger: what they do is recorded where it happens.
	Unrecorded bool
}

// Do makes the call and waits for its answer, at the most until the deadline of ctx, or 5 s (see [Options]) if it has
// none. An error is always an [*transport.Error] with Address, ID and, if it came from one, Peer.
func (c *Client) Do(ctx context.Context, r Request) (*transport.Envelope, error) {
	began := time.Now()
	k := call{client: c, r: r, callee: c.callee(r.Service, began), end: c.endOf(ctx, began), attempts: 1 + c.o.Retries}
	if ctx.Err() != nil || !began.Before(k.end) {
		e := k.late(ctx)
		k.failed(1, began, began, e, time.Time{})
		return nil, e
	}
	k.callee.budget.request()
	for n := 1; ; n++ {
		answer, e := k.attempt(ctx, n, began)
		if e == nil {
			return answer, nil
		}
		now := time.Now()
		wait, again := k.again(ctx, n, e, now)
		if !again {
			k.failed(n, began, now, e, time.Time{})
			return nil, e
		}
		k.failed(n, began, now, e, now.Add(wait))
		alive := pause(ctx, wait)
		began = time.Now()
		if !alive {
			e = k.interrupted(ctx, e)
			k.failed(n+1, began, began, e, time.Time{})
			return nil, e
		}
		k.last = e
	}
}

// Breakers are the breakers of all instances that were called, by service and peer. It changes nothing.
func (c *Client) Breakers() []BreakerStatus {
	now := time.Now()
	var all []BreakerStatus
	c.callees.Range(func(_, t any) bool {
		t.(*callee).peers.Range(func(_, p any) bool {
			all = append(all, p.(*peer).status(now))
			return true
		})
		return true
	})
	slices.SortFunc(all, func(a, b BreakerStatus) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Peer, b.Peer))
	})
	return all
}

// Unrecorded is how many attempts were left out of the ledger: those that succeeded, beyond 500 in a second.
func (c *Client) Unrecorded() uint64 { return c.sampler.skipped.Load() }

func (c *Client) callee(service string, now time.Time) *callee {
	if t, ok := c.callees.Load(service); ok {
		return t.(*callee)
	}
	t, _ := c.callees.LoadOrStore(service, newCallee(service, &c.o, now))
	return t.(*callee)
}
