package policy

import (
	"context"
	"time"
)

// endOf is when a call that begins now must be over: the context's deadline, else the client's timeout. No call is
// without an end.
func (c *Client) endOf(ctx context.Context, now time.Time) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return now.Add(c.o.Timeout)
}

// attemptContext is the context of one attempt. Its deadline travels with the request, so the callee's handler has
// what is left and passes on less: time shrinks along a chain.
//
// An attempt is cut short, after AttemptTimeout, only where that gains something: the request is idempotent and
// another attempt may follow. A request that must not be repeated once it may have run would only trade an answer
// that comes late for an outcome that nobody knows; it gets all the time that is left, and so does the last attempt.
func (k *call) attemptContext(ctx context.Context, now time.Time, n int) (context.Context, context.CancelFunc) {
	end := k.end
	if short := now.Add(k.client.o.AttemptTimeout); k.r.Idempotent && n < k.attempts && short.Before(end) {
		end = short
	}
	if d, ok := ctx.Deadline(); ok && !end.Before(d) {
		return ctx, nothing
	}
	return context.WithDeadline(ctx, end)
}

func nothing() {}
