package deliverytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

func delayedSend(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Queue, 0)
	consumer := g.consume(ctx, delivery.Subscription{Channel: c, Handle: handled})
	due := time.Now().Add(3 * time.Second)
	later := due.Add(3 * 24 * time.Hour)
	var soon []*transport.Envelope
	for i := range 10 {
		e := message(c, fmt.Sprintf("soon-%d", i), "")
		e.NotBefore = due
		soon = append(soon, e)
	}
	far := message(c, "far", "")
	far.NotBefore = later
	g.send(ctx, append(soon, far, message(c, "now", ""))...)
	g.tried(ctx, c.Address, "now", 1)
	if site.Kill != nil {
		if err := site.Kill(ctx); err != nil {
			g.Fatalf("killing the broker: %v", err)
		}
	}
	latest := time.Now().Add(resume)
	for _, e := range soon {
		at := g.tried(ctx, c.Address, e.ID, 1)[0].at
		if early := due.Sub(at); early > 100*time.Millisecond { // the broker's clock is another one
			g.Errorf("message %s: got it %v before its time; want it not before", e.ID, early)
		}
		if late := at.Sub(maxTime(due, latest)); late > 5*time.Second {
			g.Errorf("message %s: got it %v after it was due and everybody was back; want at most 5s", e.ID, late)
		}
	}
	if tries := g.triesOf(c.Address, far.ID); len(tries) > 0 {
		g.Errorf("a message for in three days: got it after %v", tries[0].at.Sub(far.Time))
	}
	operator, _ := g.broker.(transport.Operator)
	switch err := operator.CancelDelayed(ctx, c, far.ID); {
	case errors.Is(err, errors.ErrUnsupported):
		g.Notef("a delayed message can't be cancelled here")
	case err != nil:
		g.Errorf("CancelDelayed of the message for in three days = %v; want that it was still there", err)
	}
	consumer.stop(ctx)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func expired(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	for _, partitions := range []int{0, 3} {
		c := g.channel(transport.Queue, partitions)
		g.declare(ctx, c)
		const n = 10
		for i := range n {
			short, long := message(c, fmt.Sprintf("short-%d", i), "k"), message(c, fmt.Sprintf("long-%d", i), "k")
			short.Lifetime, long.Lifetime = 500*time.Millisecond, time.Hour
			g.send(ctx, short, long, message(c, fmt.Sprintf("ever-%d", i), "k"))
		}
		delayed := message(c, "delayed", "d") // its life begins with its time
		delayed.NotBefore, delayed.Lifetime = time.Now().Add(2*time.Second), 10*time.Second
		g.send(ctx, delayed)
		time.Sleep(time.Second)
		consumer := g.consume(ctx, delivery.Subscription{Channel: c, Handle: handled})
		for i := range n {
			g.tried(ctx, c.Address, fmt.Sprintf("long-%d", i), 1)
			g.tried(ctx, c.Address, fmt.Sprintf("ever-%d", i), 1)
		}
		g.tried(ctx, c.Address, delayed.ID, 1)
		consumer.stop(ctx)
		for i := range n {
			if tries := g.triesOf(c.Address, fmt.Sprintf("short-%d", i)); len(tries) > 0 {
				g.Errorf("message short-%d: got it handled after its lifetime; want it recorded as expired", i)
			}
		}
		if s := consumer.Status(); s.Expired != n || s.Handled != 2*n+1 || s.Dead != 0 {
			g.Errorf("with %d partitions: got %+v; want %d expired, %d handled, no dead letter", partitions, s, n, 2*n+1)
		}
	}
}

func filtered(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Topic, 0)
	picky := g.consume(ctx, delivery.Subscription{Channel: c, Group: "picky", Handle: handled,
		Wants: func(e *transport.Envelope) (bool, error) { return strings.HasPrefix(e.ID, "good"), nil }})
	all := g.consume(ctx, delivery.Subscription{Channel: c, Group: "all", Handle: handled})
	const n = 10
	for i := range n {
		g.send(ctx, message(c, fmt.Sprintf("bad-%d", i), ""), message(c, fmt.Sprintf("good-%d", i), ""))
	}
	for i := range n {
		g.tried(ctx, "picky", fmt.Sprintf("good-%d", i), 1)
		g.tried(ctx, "all", fmt.Sprintf("good-%d", i), 1)
		g.tried(ctx, "all", fmt.Sprintf("bad-%d", i), 1)
	}
	g.until(ctx, "the last filtered message", func() bool { return picky.Status().Filtered >= n })
	picky.stop(ctx)
	all.stop(ctx)
	if s := picky.Status(); s.Filtered != n || s.Handled != n || len(g.triesOf("picky", "")) != n {
		g.Errorf("the picky group: got %+v and %d attempts; want %d handled, as many filtered, none of these begun", s, len(g.triesOf("picky", "")), n)
	}
}

// refusing is a connection that stores nothing at some address as long as it is shut.
type refusing struct {
	transport.Broker
	address string
	shut    atomic.Bool
	refused atomic.Int64
}

func (r *refusing) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	if batch[0].Address != r.address || !r.shut.Load() {
		return r.Broker.Send(ctx, batch)
	}
	r.refused.Add(1)
	receipts := make([]transport.Receipt, len(batch))
	for i := range receipts {
		receipts[i] = transport.Receipt{Err: fmt.Errorf("%w: on purpose", transport.ErrNotSent), Groups: -1}
	}
	return receipts
}

func graveyardShut(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Queue, 3)
	g.declare(ctx, c)
	b := &refusing{Broker: site.Connect(ctx, s), address: delivery.DeadLetters().Address}
	b.shut.Store(true)
	consumer := g.consumeOn(ctx, b, delivery.Subscription{Channel: c, Retries: delivery.Retries{Set: true}, Handle: func(_ context.Context, e *transport.Envelope) error {
		if e.ID == "poison" {
			return errDeclined
		}
		return nil
	}})
	g.send(ctx, message(c, "poison", "a"))
	g.tried(ctx, c.Address, "poison", 1)
	for i := range 20 {
		g.send(ctx, message(c, fmt.Sprintf("good-%d", i), fmt.Sprintf("k-%d", i)))
	}
	for i := range 20 {
		g.tried(ctx, c.Address, fmt.Sprintf("good-%d", i), 1)
	}
	time.Sleep(3 * time.Second)
	if tries := len(g.triesOf(c.Address, "poison")); tries != 1 || b.refused.Load() > 60 {
		g.Errorf("while its dead letter is not stored: got %d attempts, %d tries to store it; want 1 attempt, and no more than about one try in 50 ms", tries, b.refused.Load())
	}
	b.shut.Store(false)
	g.buried(ctx, c.Address, "poison", 1)
	g.send(ctx, message(c, "next", "a"))
	g.tried(ctx, c.Address, "next", 1)
	consumer.stop(ctx)
	if tries := len(g.triesOf(c.Address, "poison")); tries != 1 {
		g.Errorf("got %d attempts; want exactly 1", tries)
	}
}
