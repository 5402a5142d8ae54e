package simulate

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// instance is a process that receives all channels of the world. It is the recorder of its consumers.
type instance struct {
	world   *world
	name    string
	process *mem.Process
	broker  transport.Broker
	writer  *ledger.Writer // nil where the ledger is no part of the world
	gate    gate
	cancel  context.CancelFunc
	ended   chan struct{} // closed: nothing of it runs, but handlers that nobody waits for
	left    atomic.Bool   // it ended by itself
	doubt   atomic.Int64  // until then no partition is certain; nanoseconds of Unix time

	mu        sync.Mutex
	consumers []*delivery.Consumer
}

// newInstance starts a process in a slot.
func newInstance(w *world, slot string) *instance {
	w.mu.Lock()
	p := w.process(slot)
	name := fmt.Sprintf("%s-%d", slot, w.number)
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	i := &instance{world: w, name: name, process: p, cancel: cancel, ended: make(chan struct{})}
	i.broker = w.connect(p, slot, i)
	if w.World.Ledger {
		i.writer = ledger.NewWriter(&tap{p.Broker(), w, i}, name)
	}
	w.notes.changef("%s starts", name)
	var consumers sync.WaitGroup
	for _, place := range w.World.Places {
		for _, group := range place.Groups {
			consumers.Go(func() { i.consume(ctx, place.Channel, group) })
		}
	}
	w.all.Go(func() {
		defer close(i.ended)
		consumers.Wait()
		if i.writer != nil {
			within, done := context.WithTimeout(context.Background(), 5*time.Second)
			defer done()
			_ = i.writer.Close(within) // what it drops, it counts
		}
		if !i.dead() {
			i.left.Store(true)
			i.process.Kill()
		}
	})
	w.all.Go(func() {
		<-p.Dead()
		if !i.left.Load() {
			w.notes.trouble(i, "dead", 0)
		}
	})
	return i
}

// stop ends the process in order.
func (i *instance) stop() {
	i.world.notes.changef("%s is to stop", i.name)
	i.cancel()
	<-i.ended
	i.world.notes.changef("%s has stopped", i.name)
}

func (i *instance) dead() bool { return isClosed(i.process.Dead()) }

func (i *instance) running() []*delivery.Consumer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.consumers
}

// consume runs one subscription until ctx is done or the process is dead.
func (i *instance) consume(ctx context.Context, channel transport.Channel, group string) {
	s := &i.world.World
	receiver := receiverOf(channel, group)
	c, err := delivery.New(i.broker, i, delivery.Subscription{
		Channel: channel, Group: group, Service: "simulated", Style: ledger.StyleCommand, From: transport.Position{Start: true},
		Concurrency: s.Concurrency, Timeout: s.Timeout, Drain: s.Drain, Retries: s.Retries,
		StopKey: s.StopKey && channel.Partitions > 0,
		Wants:   func(e *transport.Envelope) (bool, error) { return i.wants(receiver, e) },
		Handle:  func(ctx context.Context, e *transport.Envelope) error { return i.handle(ctx, receiver, e) },
	})
	if err != nil {
		i.world.notes.brokenf("New = %v", err)
		return
	}
	i.mu.Lock()
	i.consumers = append(i.consumers, c)
	i.mu.Unlock()
	err = c.Run(ctx, func() { i.world.notes.changef("%s receives %s", i.name, receiver) })
	switch left := c.Status().InFlight; {
	case i.dead():
	case ctx.Err() == nil:
		i.world.notes.brokenf("%s: Run of %s = %v, and nobody stopped it", i.name, receiver, err)
	case err != nil:
		i.world.notes.trouble(i, "left", 0)
		i.world.notes.incomplete(i, err)
	case left != 0 && !i.world.notes.troubled(i):
		i.world.notes.brokenf("%s: Run of %s drained with %d messages in flight; want 0", i.name, receiver, left)
	}
}

func receiverOf(c transport.Channel, group string) string {
	if group == "" {
		return c.Address
	}
	return c.Address + "/" + group
}

func (i *instance) wants(receiver string, e *transport.Envelope) (bool, error) {
	i.gate.pass()
	switch behave(i.world.Seed, receiver, e).outcome {
	case unwanted:
		if !i.dead() {
			i.world.notes.filter(receiver, e.ID)
		}
		return false, nil
	case undecided:
		return false, errPlanned
	}
	return true, nil
}

// handle plays one attempt. A dead process does nothing any more, and nothing that it does counts.
func (i *instance) handle(ctx context.Context, receiver string, e *transport.Envelope) error {
	i.gate.pass()
	if i.dead() {
		return context.Canceled
	}
	b := behave(i.world.Seed, receiver, e)
	r := i.world.notes.begin(i, receiver, e)
	var interrupted <-chan struct{}
	if !b.deaf {
		interrupted = ctx.Done()
	}
	select {
	case <-time.After(b.took):
	case <-interrupted:
	}
	i.gate.pass()
	if !b.deaf && ctx.Err() != nil {
		i.world.notes.end(r, "is interrupted")
		return ctx.Err()
	}
	if i.world.isDown(receiver) {
		b.outcome = missing
	}
	i.world.notes.end(r, b.outcome)
	if b.outcome == vanishes {
		runtime.Goexit()
	}
	return b.outcome.do()
}

// Record implements [ledger.Recorder].
func (i *instance) Record(t ledger.Transition, confirmed func()) {
	i.gate.pass()
	if i.dead() {
		return
	}
	var then func()
	if confirmed != nil {
		then = func() {
			i.gate.pass()
			if !i.dead() {
				confirmed()
			}
		}
	}
	if i.writer != nil {
		i.writer.Record(t, then)
		return
	}
	i.world.notes.record(t)
	if then != nil {
		time.AfterFunc(time.Duration(len(t.ID)+t.Attempt*3)*time.Millisecond, then)
	}
}

// connect is a connection of a process to the broker, with the faults of a service. i is nil for a sender.
func (w *world) connect(p *mem.Process, service string, i *instance) transport.Broker {
	var b transport.Broker = &tap{p.Broker(), w, i}
	if w.under != nil {
		b = w.under(b)
	}
	return w.injector.Broker(b, service)
}

// tap notes what passes between a process and the broker, and holds it back while the process is frozen.
type tap struct {
	*mem.Broker
	world    *world
	instance *instance // nil for a sender
}

func (t *tap) Features() transport.Features {
	f := t.Broker.Features()
	if !t.world.World.Delays {
		f.Delay = 0
	}
	return f
}

func (t *tap) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	t.pass()
	receipts := t.Broker.Send(ctx, batch)
	t.pass()
	for n, r := range receipts {
		t.world.notes.stored(batch[n], r)
	}
	return receipts
}

func (t *tap) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	return t.Broker.Receive(ctx, r, func(d *transport.Delivery) {
		t.pass()
		t.world.notes.deliver(d)
		valid, settle := d.Valid, d.Settle
		d.Valid = func() bool {
			t.pass()
			return valid() && !t.doubted(d)
		}
		d.Settle = func(o transport.Outcome) {
			t.pass()
			settle(o)
		}
		take(d)
	})
}

// doubted reports whether the process cannot know now whether it still has the partition of d.
func (t *tap) doubted(d *transport.Delivery) bool {
	return t.instance != nil && d.Yield != nil && time.Now().UnixNano() < t.instance.doubt.Load()
}

func (t *tap) pass() {
	if t.instance != nil {
		t.instance.gate.pass()
	}
}
