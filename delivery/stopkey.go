package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/parley-io/parley/ledger"
)

// behind is why a message goes to the dead letters that no handler got: another one stops its key.
type behind struct{ id string }

func (b *behind) Error() string { return "behind " + b.id }

// learning is how long a message waits before somebody looks again whether the story of its partition is known.
const learning = 10 * time.Millisecond

// learnStoppedKeys reads which keys are stopped until end is called.
func (c *Consumer) learnStoppedKeys(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { c.stopped.run(ctx, c.broker) })
	return func() {
		cancel()
		reader.Wait()
	}
}

// stops reports whether what becomes of t decides about its key.
func (c *Consumer) stops(t *task) bool { return c.stopped != nil && t.ordered }

// follows sends t behind the message that stops its key, and reports whether there is one.
func (c *Consumer) follows(ctx context.Context, t *task) bool {
	if !c.stops(t) {
		return false
	}
	head, ok := c.stopped.before(t.delivery.Envelope)
	if ok {
		c.bury(ctx, t, &behind{head})
	}
	return ok
}

// through concludes t, which needs no more handling. If it was one of those that stop its key, everybody learns first
// that it is through, and only then comes the next one of its key.
func (c *Consumer) through(ctx context.Context, kind ledger.Kind, t *task, more ledger.Transition) {
	if !c.stops(t) || !c.stopped.has(t.delivery.Envelope) {
		c.conclude(kind, t, more)
		return
	}
	last := more // of the few that need it on the heap
	c.note(ctx, keyLeft, t, func() { c.conclude(kind, t, last) })
}

// note writes what becomes of t and calls known once this consumer has read it, with all that was written before. If
// that does not come to pass before the drain is over, t goes back to the broker.
func (c *Consumer) note(ctx context.Context, kind stopKind, t *task, known func()) {
	record, back := c.stopped.record(kind, t.delivery.Envelope)
	c.handOff(ctx, t, record, func() {
		defer c.stopped.forget(record)
		select {
		case <-back:
			known()
		case <-ctx.Done():
			c.giveBack(t)
		}
	})
}
