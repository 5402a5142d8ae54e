package deliverytest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// crowd is handlers that wait inside until they are let go.
type crowd struct {
	mu      sync.Mutex
	running int
	most    int           // at once, since the crowd was let go last
	gate    chan struct{} // closed: those inside go
}

func (c *crowd) handle(ctx context.Context, _ *transport.Envelope) error {
	c.mu.Lock()
	c.running++
	c.most = max(c.most, c.running)
	gate := c.gate
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running--
	}()
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// letGo lets those inside go.
func (c *crowd) letGo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.gate)
	c.gate, c.most = make(chan struct{}), 0
}

// open lets also those go who come later. It is the last that is done.
func (c *crowd) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.gate)
}

func (c *crowd) inside() (running, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running, c.most
}

func (g *stage) backlog(ctx context.Context, c transport.Channel, n int) {
	for begin := 0; begin < n; begin += 100 {
		var batch []*transport.Envelope
		for i := begin; i < min(begin+100, n); i++ {
			batch = append(batch, message(c, fmt.Sprintf("m-%d", i), fmt.Sprintf("k-%d", i%50)))
		}
		g.send(ctx, batch...)
	}
}

func backPressure(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	for _, partitions := range []int{0, 3} {
		c := g.channel(transport.Topic, partitions)
		const n, window = 1000, 64
		block := make(chan struct{})
		slow := g.consume(ctx, delivery.Subscription{Channel: c, Group: "slow", Concurrency: 2, Handle: func(ctx context.Context, _ *transport.Envelope) error {
			select {
			case <-block:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		fast := g.consume(ctx, delivery.Subscription{Channel: c, Group: "fast", Handle: handled})
		g.backlog(ctx, c, n)
		g.until(ctx, "all of them at the fast group", func() bool { return fast.Status().Handled >= n })
		if s := slow.Status(); s.InFlight > window || s.Handled > 0 {
			g.Errorf("with %d partitions, a group whose handlers are stuck: got %+v; want at most %d of %d in flight, none handled", partitions, s, window, n)
		}
		close(block)
		g.until(ctx, "all of them at the slow group", func() bool { return slow.Status().Handled >= n })
		slow.stop(ctx)
		fast.stop(ctx)
	}
}

func steered(ctx context.Context, s *transporttest.Scene, site transporttest.Site) {
	g := newStage(ctx, s, site)
	c := g.channel(transport.Queue, 0)
	const n = 300
	people := &crowd{gate: make(chan struct{})}
	consumer := g.consume(ctx, delivery.Subscription{Channel: c, Concurrency: 2, Handle: people.handle})
	g.backlog(ctx, c, n)
	await := func(want int) {
		g.until(ctx, fmt.Sprintf("%d handlers at once", want), func() bool { running, _ := people.inside(); return running == want })
		time.Sleep(200 * time.Millisecond) // for more of them
		if running, most := people.inside(); running != want || most > want {
			g.Errorf("got %d handlers, %d at once; want %d", running, most, want)
		}
	}
	await(2)
	for _, concurrency := range []int{12, 1, 6} {
		if err := consumer.SetConcurrency(concurrency); err != nil {
			g.Fatalf("SetConcurrency(%d): %v", concurrency, err)
		}
		people.letGo()
		await(concurrency)
	}
	consumer.Pause("conform")
	people.letGo()
	await(0)
	consumer.Resume()
	await(6)
	people.open()
	g.until(ctx, "all of them", func() bool { return consumer.Status().Handled >= n })
	consumer.stop(ctx)
	ids := make(map[string]bool)
	for _, t := range g.triesOf(c.Address, "") {
		ids[t.id] = true
	}
	if s := consumer.Status(); s.Handled != n || s.Failed != 0 || len(ids) != n {
		g.Errorf("at the end: got %+v, of %d messages; want all %d handled once", s, len(ids), n)
	}
}
