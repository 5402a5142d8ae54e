package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// held is a consumer that does not run, and a delivery of a partition.
func held(t *testing.T) (*Consumer, *transport.Delivery) {
	t.Helper()
	c, err := New(mem.New().Process("p").Broker(), nil, Subscription{
		Channel: transport.Channel{Address: "bank.v1.book", Pattern: transport.Queue, Partitions: 4}, Service: "bank", Style: "command",
		Handle: func(context.Context, *transport.Envelope) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, &transport.Delivery{Yield: make(chan struct{}), Revoked: make(chan struct{})}
}

func TestTheWatchOfAPartitionEndsWithTheLastOfItsMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d := held(t)
		yield := make(chan struct{})
		d.Yield = yield
		first, second := c.heed(t.Context(), d), c.heed(t.Context(), d)
		if first != second {
			t.Error("two deliveries of a partition have two watches; want one")
		}
		close(yield)
		synctest.Wait()
		first.leave()
		if err := first.ctx.Err(); err != nil {
			t.Errorf("the context of what still runs: %v; want nil", err)
		}
		second.leave()
		c.watches.Wait() // for ever, and the test fails, if Revoked were waited for, which an orderly hand-over does not close
	})
}

func TestWhatRunsIsToldOnceAnotherHasThePartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d := held(t)
		yield, revoked := make(chan struct{}), make(chan struct{})
		d.Yield, d.Revoked = yield, revoked
		h := c.heed(t.Context(), d)
		close(yield)
		synctest.Wait()
		if err := h.ctx.Err(); err != nil {
			t.Errorf("the context while the partition may still be finished: %v; want nil", err)
		}
		close(revoked)
		c.watches.Wait()
		if cause := context.Cause(h.ctx); !errors.Is(cause, ErrRevoked) {
			t.Errorf("the context ended by %v; want ErrRevoked", cause)
		}
	})
}
