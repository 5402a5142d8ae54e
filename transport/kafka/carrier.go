package kafka

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// carrier moves what is due of one partition of the topic of delayed messages. A message gets to its channel, and the
// mark that it has gone to the topic of delayed ones, in one transaction. The transactional id is that of the partition:
// who takes it over ends the transaction of who had it, and nothing of that comes afterwards.
type carrier struct {
	b         *Broker
	partition int32
	ctx       context.Context //nolint:containedctx // the carrier's own life, which cancel ends
	cancel    context.CancelFunc
	ended     chan struct{}

	wake    chan struct{} // capacity 1
	mu      sync.Mutex
	arrived []*kgo.Record

	// Of run alone.
	client  *kgo.Client // nil = to be made
	read    int64       // the offset that follows what was read
	end     int64       // what must be read before anything is moved
	pending map[string]*waiting
	heap    delayed
	most    int // messages of the next transaction
	pause   time.Duration
}

const (
	maxMoved      = 500
	transactional = 10 * time.Second // after which the cluster ends a transaction of who has died
	lookAgain     = 10 * time.Second // at the clock, which may have been set, or gone on while the machine was suspended
)

func newCarrier(b *Broker, partition int32) *carrier {
	ctx, cancel := context.WithCancel(context.Background())
	return &carrier{
		b: b, partition: partition, ctx: ctx, cancel: cancel, ended: make(chan struct{}),
		wake: make(chan struct{}, 1), pending: make(map[string]*waiting), most: maxMoved,
	}
}

// add takes what was fetched.
func (c *carrier) add(records []*kgo.Record) {
	c.mu.Lock()
	c.arrived = append(c.arrived, records...)
	c.mu.Unlock()
	poke(c.wake)
}

// run moves until it is cancelled.
func (c *carrier) run() {
	defer close(c.ended)
	defer c.drop()
	for c.ctx.Err() == nil {
		c.sort()
		err := c.step()
		if err == nil {
			c.pause = 0
			c.wait()
			continue
		}
		c.drop()
		c.pause = min(max(2*c.pause, tryAgain), maxTryAgain)
		select {
		case <-time.After(jitter(c.pause)):
		case <-c.ctx.Done():
		}
	}
}

// sort takes note of what has arrived.
func (c *carrier) sort() {
	c.mu.Lock()
	arrived := c.arrived
	c.arrived = nil
	c.mu.Unlock()
	for _, r := range arrived {
		c.read = r.Offset + 1
		if r.Attrs.IsControl() {
			continue
		}
		key := string(r.Key)
		if old := c.pending[key]; old != nil {
			old.gone = true
			delete(c.pending, key)
		}
		if w, err := readWaiting(r); r.Value != nil && err == nil { // what is not ours stays where it is
			c.pending[key] = w
			heap.Push(&c.heap, w)
		}
	}
}

// step moves what is due, once all that was moved before is known.
func (c *carrier) step() error {
	if c.client == nil {
		if err := c.begin(); err != nil {
			return err
		}
	}
	if c.read < c.end {
		return nil
	}
	for {
		due := c.due(time.Now())
		if len(due) == 0 {
			return nil
		}
		refused, closed, err := c.move(due)
		if err != nil || refused {
			c.putBack(due, refused, closed)
			if err != nil {
				return err
			}
			if len(closed) > 0 { // once such a topic is made again, the client would still not know it
				c.drop()
				return nil
			}
			continue
		}
		for _, w := range due {
			w.gone = true
		}
		c.most = min(2*c.most, maxMoved)
	}
}

// putBack has what was not moved tried again: at once; or later, if it would hold up the others. That is all of a topic
// that takes nothing, and a message that is refused alone.
func (c *carrier) putBack(due []*waiting, refused bool, closed map[string]bool) {
	now := time.Now()
	for _, w := range due {
		if closed[w.moved().Topic] || refused && len(due) == 1 {
			w.postpone(now)
		}
		heap.Push(&c.heap, w)
	}
	if len(closed) == 0 {
		c.most = max(c.most/8, 1)
	}
}

// begin makes us the only one who moves of this partition, and finds out what is to be read before we do.
func (c *carrier) begin() (err error) {
	ctx, cancel := context.WithTimeout(c.ctx, 2*answerLimit)
	defer cancel()
	c.client, err = c.b.options.client(
		kgo.TransactionalID(c.b.names.carrier(c.partition)),
		kgo.TransactionTimeout(transactional),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.RecordDeliveryTimeout(answerLimit),
	)
	if err != nil {
		return err
	}
	if _, _, err := c.client.ProducerID(ctx); err != nil {
		return fmt.Errorf("take over the transactions: %w", err)
	}
	topic := c.b.names.delay()
	ends, err := kadm.NewClient(c.client).ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	end, _ := ends.Lookup(topic, c.partition)
	c.end = end.Offset
	return err
}

func (c *carrier) drop() {
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}

// due takes from the heap what is due.
func (c *carrier) due(now time.Time) (due []*waiting) {
	for len(c.heap) > 0 && len(due) < c.most {
		w := c.heap[0]
		if !w.gone && w.due.After(now) {
			break
		}
		heap.Pop(&c.heap)
		if !w.gone {
			due = append(due, w)
		}
	}
	return due
}

// move moves messages in one transaction. With refused, nothing of it has happened, because the cluster takes one or
// several of them not at all; closed are the topics that take nothing: deleted, or we have no right to them.
func (c *carrier) move(due []*waiting) (refused bool, closed map[string]bool, err error) {
	if err := c.client.BeginTransaction(); err != nil {
		return false, nil, err
	}
	closed = make(map[string]bool)
	var failed []error // the client calls back one after the other
	note := func(r *kgo.Record, err error) {
		if err == nil {
			return
		}
		failed = append(failed, err)
		if r.Topic != c.b.names.delay() && (denied(err) || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)) {
			closed[r.Topic] = true
		}
	}
	ctx, cancel := c.b.alive(2 * answerLimit)
	defer cancel()
	for _, w := range due {
		c.client.Produce(ctx, w.moved(), note)
		c.client.Produce(ctx, &kgo.Record{Topic: c.b.names.delay(), Partition: c.partition, Key: w.record.Key}, note)
	}
	if err := c.client.Flush(ctx); err != nil { // before the end, which does not wait for what is on its way
		return false, nil, errors.Join(err, c.client.AbortBufferedRecords(ctx))
	}
	if len(failed) == 0 {
		return false, nil, c.client.EndTransaction(ctx, kgo.TryCommit)
	}
	refused = slices.ContainsFunc(failed, func(err error) bool {
		return errors.Is(outcome(err), transport.ErrRefused) || errors.Is(outcome(err), transport.ErrNotSent)
	})
	err = c.client.EndTransaction(ctx, kgo.TryAbort)
	if !refused {
		err = errors.Join(failed[0], err)
	}
	return refused, closed, err
}

// wait waits until something arrives or is due.
func (c *carrier) wait() {
	var clock <-chan time.Time
	if len(c.heap) > 0 && c.read >= c.end {
		clock = time.After(min(time.Until(c.heap[0].due), lookAgain))
	}
	select {
	case <-c.wake:
	case <-clock:
	case <-c.ctx.Done():
	}
}
