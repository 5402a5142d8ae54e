package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// grace is how long handlers have after their context is cancelled at the end of the drain.
const grace = 5 * time.Second

// Consumer runs one subscription. All its methods may be called concurrently.
type Consumer struct {
	subscription Subscription
	broker       transport.Broker
	delays       time.Duration // the longest delay that the broker carries
	free, keyed  Retries       // the schedules of messages without order and in order
	overdue      error         // why a handler's context ends at its deadline
	recorder     ledger.Recorder
	credit       *transport.Credit
	queue        *queue
	stopped      *stoppedKeys   // nil = no StopKey
	owners       sync.WaitGroup // workers, hand-offs and the Receive
	watches      sync.WaitGroup // of holds; they end after the owners
	resized      chan struct{}  // capacity 1: there may be another number of handlers at once
	draining     chan struct{}  // closed when Run begins to drain
	gaveUp       atomic.Bool    // Run has returned without waiting any longer

	mu      sync.Mutex // guards what follows
	holds   map[passing]*hold
	phase   runState
	paused  bool
	because string
	kill    killSwitch
	pace    pace
	told    flowState // what Subscription.Changed was called for last

	concurrency int
	running     []*atomic.Pointer[task] // what each worker handles

	counts counts
}

type runState uint8

const (
	fresh runState = iota
	receiving
	ended
)

type counts struct {
	inFlight, handled, failed, delayed, dead, filtered, expired, stuck atomic.Int64

	otherwise atomic.Int64 // of failed: for another reason than that a dependency is down
}

// New checks s against the broker and reports everything that is wrong with it in one error. rec may be nil.
func New(b transport.Broker, rec ledger.Recorder, s Subscription) (*Consumer, error) {
	if b == nil {
		return nil, fmt.Errorf("receiving %s: no broker", s.Channel.Address)
	}
	if rec == nil {
		rec = ledger.Discard
	}
	f := b.Features()
	if err := s.check(f); err != nil {
		return nil, err
	}
	s.setDefaults()
	c := &Consumer{
		subscription: s, broker: b, delays: f.Delay, free: s.Retries, keyed: s.Retries,
		overdue:  fmt.Errorf("the handler's deadline of %v is over: %w", s.Timeout, context.DeadlineExceeded),
		recorder: rec, credit: transport.NewCredit(creditFor(s.Concurrency)),
		queue: newQueue(s.Concurrency), concurrency: s.Concurrency, resized: make(chan struct{}, 1),
		draining: make(chan struct{}), holds: make(map[passing]*hold),
	}
	c.told = c.state()
	if !s.Retries.Set {
		c.free, c.keyed = DefaultRetries(false), DefaultRetries(true)
	}
	if s.StopKey {
		c.stopped = newStoppedKeys(&s)
	}
	return c, nil
}

// Run declares the channel and the dead letters, receives until ctx is done, and then drains: no handler starts any
// more, what nobody has begun goes back to the broker, handlers and hand-offs that run have Subscription.Drain to end.
// After that their context is cancelled, and 5 s later Run returns, whatever still runs, with an error that names the
// messages. Those are not settled before their handlers return, and then go back to the broker; so they are delivered
// again, at the latest when the broker's connection is closed.
//
// It returns nil after a complete drain, and an error if the channels cannot be declared or, after the same drain, if
// the broker says that receiving is useless. ready, if not nil, is called once messages sent from then on are received.
// A Consumer runs once.
func (c *Consumer) Run(ctx context.Context, ready func()) error {
	if !c.enter(fresh, receiving) {
		return c.failure(errors.New("a consumer runs once"))
	}
	defer c.enter(receiving, ended)
	s := &c.subscription
	channels := []transport.Channel{s.Channel, DeadLetters()}
	if c.stopped != nil {
		channels = append(channels, StoppedKeys())
	}
	if err := Declare(ctx, c.broker, channels); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return c.failure(err)
	}
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer func() {
		cancel(ErrDrained)
		if !c.gaveUp.Load() { // a Receive that hangs could begin one
			c.watches.Wait()
		}
	}()
	if c.stopped != nil {
		defer c.learnStoppedKeys(work)()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.owners.Go(func() { c.staff(work) })
	var err error // once received is closed
	received := make(chan struct{})
	c.owners.Go(func() {
		defer close(received)
		err = c.broker.Receive(ctx, transport.Route{
			Channel: s.Channel, Group: s.group(), From: s.From, Credit: c.credit, Ready: ready,
		}, func(d *transport.Delivery) { c.take(work, d) })
	})
	var unknown error // why it is not known any more which keys are stopped
	select {
	case <-ctx.Done():
	case <-received:
		if err == nil && ctx.Err() == nil {
			err = errors.New("the broker ended it without a reason")
		}
	case <-c.stopped.ends():
		unknown = c.stopped.failure()
		stop()
	}
	drained := errors.Join(unknown, c.drain(cancel))
	select {
	case <-received:
		drained = errors.Join(err, drained)
	default:
	}
	if drained != nil {
		return c.failure(drained)
	}
	return nil
}

// drain ends what Run began. It returns nil when nothing is left.
func (c *Consumer) drain(cancel context.CancelCauseFunc) error {
	close(c.draining)
	c.mu.Lock()
	c.kill.stop()
	c.mu.Unlock()
	for _, t := range c.queue.close() {
		c.settle(t, transport.Return)
	}
	idle := make(chan struct{})
	go func() { // ends with the last handler
		c.owners.Wait()
		close(idle)
	}()
	limit := time.NewTimer(c.subscription.Drain)
	defer limit.Stop()
	select {
	case <-idle:
		return nil
	case <-limit.C:
	}
	cancel(ErrDrained)
	limit.Reset(grace)
	select {
	case <-idle:
		return nil
	case <-limit.C:
	}
	c.gaveUp.Store(true)
	hung := c.busy()
	if len(hung) == 0 {
		return fmt.Errorf("not all outcomes were confirmed %v after the drain; those messages are delivered again", grace)
	}
	return fmt.Errorf("handlers still run %v after their context was cancelled; their messages are delivered again: %s",
		grace, strings.Join(hung, ", "))
}

// busy are the messages that handlers run for.
func (c *Consumer) busy() (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, slot := range c.running {
		if t := slot.Load(); t != nil {
			ids = append(ids, t.delivery.Envelope.ID)
		}
	}
	return ids
}

// take is where the broker hands a message over. ctx is for its handler.
func (c *Consumer) take(ctx context.Context, d *transport.Delivery) {
	c.counts.inFlight.Add(1)
	t := &task{delivery: d, hold: c.heed(ctx, d), ordered: c.subscription.ordered(d.Envelope), attempt: max(d.Envelope.Attempt, 1)}
	if !c.queue.add(t) {
		c.settle(t, transport.Return)
		return
	}
	if closed(d.Yield) { // the watch may have looked before
		c.withdraw(d.Yield)
	}
}

func (c *Consumer) settle(t *task, o transport.Outcome) {
	c.counts.inFlight.Add(-1)
	t.delivery.Settle(o)
	t.hold.leave()
	if o == transport.Done {
		c.keepPace()
	}
}

// giveBack returns t to the broker, and with it those of its key that came after it.
func (c *Consumer) giveBack(t *task) {
	for _, x := range c.queue.abandon(t) {
		c.settle(x, transport.Return)
	}
}

// retries is the schedule of t.
func (c *Consumer) retries(t *task) *Retries {
	if t.ordered {
		return &c.keyed
	}
	return &c.free
}

// record notes what happened in the present attempt of t.
func (c *Consumer) record(kind ledger.Kind, t *task, more ledger.Transition, confirmed func()) {
	r := ledger.Of(kind, c.subscription.Style, t.delivery.Envelope)
	r.Group = c.subscription.receiver()
	r.Attempt, r.Attempts = t.attempt, max(t.attempt, c.retries(t).Attempts())
	r.Took, r.Until, r.Reason = more.Took, more.Until, more.Reason
	c.recorder.Record(r, confirmed)
}

// conclude records the last thing that happens to t here, settles it once that is confirmed, and lets its successor go.
func (c *Consumer) conclude(kind ledger.Kind, t *task, more ledger.Transition) {
	c.record(kind, t, more, func() { c.settle(t, transport.Done) })
	c.queue.leave(t)
}

func (c *Consumer) failure(err error) error {
	return fmt.Errorf("receiving %s for %s: %w", c.subscription.Channel.Address, c.subscription.receiver(), err)
}

func (c *Consumer) enter(from, to runState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != from {
		return false
	}
	c.phase = to
	return true
}
