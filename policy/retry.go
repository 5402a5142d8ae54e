package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	backoffBase   = 50 * time.Millisecond // the longest first back-off; each next one may be twice as long
	backoffMax    = time.Second
	retryAfterMax = 5 * time.Second // who wants to be left alone longer is not waited for
)

// again decides what follows attempt n, which failed with e at now: repeat it after wait, or not and e is final. An
// error that would be repeated if anything were left for it (attempts, budget, time) leaves with NoRetry: a handler
// that answers with it keeps its own caller from repeating the whole.
func (k *call) again(ctx context.Context, n int, e *transport.Error, now time.Time) (wait time.Duration, ok bool) {
	if !k.repeatable(ctx, e) || k.attempts == 1 {
		return 0, false
	}
	if n >= k.attempts {
		return 0, spent(e, fmt.Sprintf("%d attempts", n))
	}
	switch {
	case e.NotSent && n == 1 && k.callee.another(k.r.Peers(), k.tried, now):
	case e.RetryAfter > retryAfterMax:
		return 0, spent(e, fmt.Sprintf("not repeated: %s wants %v of rest", k.r.Service, e.RetryAfter))
	default:
		wait = e.RetryAfter + backoff(n)
	}
	if !now.Add(wait).Before(k.end) {
		return 0, spent(e, "not repeated: the deadline comes first")
	}
	if !k.callee.budget.take(now) {
		return 0, spent(e, "not repeated: retry-budget of "+k.r.Service+" is used up")
	}
	return wait, true
}

// repeatable: the failure may pass, and repeating is safe because the callee certainly did not begin or because
// running the request twice is as good as once.
func (k *call) repeatable(ctx context.Context, e *transport.Error) bool {
	return (e.Code == transport.Unavailable || e.Code == transport.DeadlineExceeded) &&
		(e.NotSent || k.r.Idempotent) && !e.NoRetry && ctx.Err() == nil
}

// spent marks e as final and is false.
func spent(e *transport.Error, why string) bool {
	e.NoRetry = true
	if e.Message != "" {
		why = e.Message + " (" + why + ")"
	}
	e.Message = why
	return false
}

// backoff before attempt n+1: anything up to 50 ms, 100 ms, 200 ms … 1 s. The full range keeps callers that failed
// together from coming back together.
func backoff(n int) time.Duration {
	limit := backoffMax
	if n < 6 {
		limit = min(backoffBase<<(n-1), backoffMax)
	}
	return rand.N(limit + 1)
}

// pause waits, and reports whether ctx was still alive after it.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
