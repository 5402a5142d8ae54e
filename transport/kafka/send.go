package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// call is a Send that waits.
type call struct {
	mu       sync.Mutex
	receipts []transport.Receipt // nil once it no longer waits
	flights  []*flight           // nil where the outcome is known or another flight's
	open     int
	known    chan struct{}
	over     atomic.Bool // it no longer waits; for who must not wait for mu
}

// errOpen stands for an outcome until it is known.
var errOpen = errors.New("outcome unknown")

func newCall(n int) *call {
	c := &call{receipts: make([]transport.Receipt, n), flights: make([]*flight, n), open: n, known: make(chan struct{})}
	for i := range c.receipts {
		c.receipts[i] = transport.Receipt{Err: errOpen, Groups: -1}
	}
	return c
}

// Send implements [transport.Broker]. What is sent to a channel that was deleted has that declared again.
func (b *Broker) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	if len(batch) == 0 {
		return nil
	}
	c := newCall(len(batch))
	err := b.begin()
	if err == nil {
		defer b.users.Done()
	}
	now := time.Now()
	var by *kgo.Client
	b.producer.use(func(cl *kgo.Client) {
		by = cl
		for n, e := range batch {
			switch {
			case err != nil:
				c.settle(n, transport.Receipt{Err: fmt.Errorf("%w: %w", transport.ErrNotSent, err), Groups: -1})
			case ctx.Err() != nil:
				c.settle(n, transport.Receipt{Err: fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx)), Groups: -1})
			default:
				b.launch(cl, c, n, e, now)
			}
		}
	})
	var why error
	select {
	case <-c.known:
	case <-ctx.Done():
		why = context.Cause(ctx)
	case <-b.dead:
		why = transport.ErrClosed
	}
	receipts := c.finish(&b.adrift, batch, why)
	var lost []transport.Channel
	for n, r := range receipts {
		if r.Err == nil {
			continue
		}
		receipts[n].Err = fmt.Errorf("kafka: send %s to %s: %w", batch[n].ID, batch[n].Address, r.Err)
		if channel, ok := b.channel(batch[n].Address); ok && deleted(r.Err) && !slices.Contains(lost, channel) {
			lost = append(lost, channel)
		}
	}
	if len(lost) > 0 {
		b.mend(by, lost)
	}
	return receipts
}

// launch sends one envelope, or settles it.
func (b *Broker) launch(cl *kgo.Client, c *call, n int, e *transport.Envelope, now time.Time) {
	record, err := b.record(e, now)
	if err != nil {
		c.settle(n, transport.Receipt{Err: err, Groups: -1})
		return
	}
	f := &flight{call: c, n: n}
	if b.adrift.join(f, e) {
		return
	}
	c.mu.Lock()
	c.flights[n] = f
	c.mu.Unlock()
	delayed := record.Topic == b.names.delay()
	// The context of one record would count for all that wait for its partition, whoever sent them: so it has none.
	cl.TryProduce(context.Background(), record, func(r *kgo.Record, err error) {
		receipt := transport.Receipt{Groups: -1}
		switch {
		case err != nil:
			receipt.Err = outcome(err)
		case !delayed:
			receipt.Position = position(r.Partition, r.Offset)
		}
		b.adrift.land(f, receipt)
	})
}

// record makes e ready to be sent.
func (b *Broker) record(e *transport.Envelope, now time.Time) (*kgo.Record, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if size := e.Size(); size > b.features.MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes: want at most %d", transport.ErrRefused, size, b.features.MaxBytes)
	}
	c, ok := b.channel(e.Address)
	if !ok {
		return nil, fmt.Errorf("%w: the channel is not declared on this broker: Declare it first", transport.ErrRefused)
	}
	r := encode(e)
	r.Topic = b.names.topic(e.Address)
	if r.Partition = int32(c.Partition(e.Key)); r.Partition < 0 {
		r.Partition = int32(b.spread.Add(1) % uint32(partitions(c)))
	}
	if e.NotBefore.After(now) {
		return r, b.postpone(e, r, now)
	}
	return r, nil
}

// outcome says what an error of sending means for repeating.
func outcome(err error) error {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("%w: this user may not write to the topic: give it the right: %w", transport.ErrRefused, err)
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidRecord), errors.Is(err, kerr.PolicyViolation):
		return fmt.Errorf("%w: %w", transport.ErrRefused, err)
	case errors.Is(err, kgo.ErrMaxBuffered):
		return fmt.Errorf("%w: too much waits for the cluster: %w", transport.ErrNotSent, err)
	case deleted(err):
		return fmt.Errorf("%w: the channel was deleted, and is to be declared again: %w", transport.ErrNotSent, err)
	}
	return fmt.Errorf("%w: %w", errOpen, err)
}

// settle takes the outcome of one envelope, and reports whether somebody waits for it.
func (c *call) settle(n int, r transport.Receipt) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.receipts == nil {
		return false
	}
	c.receipts[n] = r
	c.flights[n] = nil
	if c.open--; c.open == 0 {
		close(c.known)
	}
	return true
}

// finish ends the waiting. What is not known by then is adrift.
func (c *call) finish(a *adrift, batch []*transport.Envelope, why error) []transport.Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	receipts := c.receipts
	c.receipts = nil
	c.over.Store(true)
	for n, e := range batch {
		if f := c.flights[n]; f != nil {
			f.identity = identity(e)
			a.add(f)
		}
		if errors.Is(receipts[n].Err, errOpen) && why != nil {
			receipts[n].Err = fmt.Errorf("%w: %w", receipts[n].Err, why)
		}
	}
	return receipts
}
