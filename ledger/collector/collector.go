package collector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// Collector follows messages. Make it with [New], run it once with [Collector.Run]; everything else may be called
// concurrently.
type Collector struct {
	broker transport.Broker
	now    func() time.Time
	mark   string        // the process name of the batch that tells where the ledger ended when Run began
	caught chan struct{} // closed when that batch has come back
	ended  chan struct{} // closed when Run ends: nobody waits for news any more
	hired  chan struct{} // capacity 1: jobs has a new one

	mu      sync.Mutex
	index   *ledger.Index
	failed  *failed
	watches watches
	jobs    []*job // oldest first, at most jobsKept
	since   time.Time
	ran     bool
}

// readAhead is how many entries of a stream are in memory at once.
const readAhead = 1024

// Option changes a Collector.
type Option func(*Collector)

// WithHops bounds how many messages and calls are kept; the default is [ledger.DefaultHops].
func WithHops(n int) Option { return func(c *Collector) { c.index = ledger.NewIndex(n) } }

// New returns a collector of the network of b. It does nothing before Run.
func New(b transport.Broker, options ...Option) *Collector {
	c := &Collector{
		broker: b, now: time.Now, mark: "collector~" + uuid.NewString(),
		caught: make(chan struct{}), ended: make(chan struct{}), hired: make(chan struct{}, 1),
		index: ledger.NewIndex(0), failed: newFailed(lettersKept), watches: make(watches),
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// Run reads until ctx is done, and then returns nil. ready, if not nil, is called once everything that was in the
// ledger when Run began has been read. It returns an error where going on is useless: a channel declared differently,
// rights, the broker closed. A Collector runs once.
func (c *Collector) Run(ctx context.Context, ready func()) error {
	c.mu.Lock()
	again := c.ran
	c.ran, c.since = true, c.now()
	c.mu.Unlock()
	if again {
		return errors.New("collector: it has run already: make another with New")
	}
	defer close(c.ended)
	if err := delivery.Declare(ctx, c.broker, []transport.Channel{ledger.Stream(), delivery.DeadLetters()}); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("collector: declaring the ledger and the dead letters: %w", err)
	}
	return c.read(ctx, ready)
}

// read owns everything that runs beside Run.
func (c *Collector) read(ctx context.Context, ready func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	var broken [2]error
	reading := make(chan struct{})
	for i, route := range []transport.Route{
		{Channel: delivery.DeadLetters()},
		{Channel: ledger.Stream(), Ready: func() { close(reading) }},
	} {
		route.From, route.Credit = transport.Position{Start: true}, transport.NewCredit(readAhead)
		take := [...]func(*transport.Delivery){c.takeDead, c.takeBatch}[i]
		parts.Go(func() {
			if err := c.broker.Receive(ctx, route, take); err != nil && ctx.Err() == nil {
				broken[i] = fmt.Errorf("collector: reading %s: %w", route.Channel.Address, err)
				cancel(broken[i])
			}
		})
	}
	parts.Go(func() { c.tellWhenCaughtUp(ctx, reading, ready) })
	writer := ledger.NewWriter(c.broker, "collector")
	parts.Go(func() { c.work(ctx, ledger.As(writer, "collector", c.mark)) })
	parts.Wait()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), ledger.WriteWithin)
	defer stop()
	_ = writer.Close(last) // what it could not write shows as a gap
	return errors.Join(broken[:]...)
}

// Gone tells the collector that an instance has ended without a word, as presence finds out: what it was doing shows
// as a gap, and not as running.
func (c *Collector) Gone(instance string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index.Gone(instance, at)
	c.watches.all()
}

// takeBatch takes an entry of the ledger.
func (c *Collector) takeBatch(d *transport.Delivery) {
	defer d.Settle(transport.Done)
	b, err := ledger.ParseBatch(d.Envelope.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		at := d.Accepted
		if at.IsZero() {
			at = d.Envelope.Time
		}
		c.index.Unreadable(at)
		c.watches.all()
		return
	}
	if b.Process == c.mark {
		select {
		case <-c.caught:
		default:
			close(c.caught)
		}
		return
	}
	c.index.Add(b)
	c.watches.notify(&b)
}

// takeDead takes an entry of the dead letters.
func (c *Collector) takeDead(d *transport.Delivery) {
	defer d.Settle(transport.Done)
	dead, redriven, err := delivery.ReadDeadLetter(d.Envelope)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.failed.unreadable++
	case dead != nil:
		c.failed.add(dead, d.Position)
	default:
		c.failed.redriven(redriven)
	}
}

// tellWhenCaughtUp sends a batch of its own and calls ready when that comes back.
func (c *Collector) tellWhenCaughtUp(ctx context.Context, reading <-chan struct{}, ready func()) {
	select {
	case <-reading:
	case <-ctx.Done():
		return
	}
	now := c.now()
	body, err := json.Marshal(ledger.Batch{Version: ledger.Format, Process: c.mark, Number: 1, At: now, Last: true, Transitions: []ledger.Transition{}})
	if err != nil {
		return // it has nothing that can fail
	}
	e := &transport.Envelope{ID: c.mark, Source: "collector", Address: ledger.Stream().Address, ContentType: "application/json", Time: now, Body: body}
	if err := delivery.Send(ctx, c.broker, []*transport.Envelope{e})[0].Err; err != nil {
		return // ctx is done, or the broker is closed, which ends the readers too
	}
	select {
	case <-c.caught:
		if ready != nil {
			ready()
		}
	case <-ctx.Done():
	}
}
