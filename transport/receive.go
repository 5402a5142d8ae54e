package transport

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Position is a place in a stream. The zero Position is "now": only what is accepted from here on.
type Position struct {
	Start bool      // the oldest message that is kept
	Time  time.Time // the first message accepted at or after Time
	At    string    // from a Receipt or Delivery: the message there and what follows
}

// IsZero reports whether p is "now".
func (p Position) IsZero() bool { return !p.Start && p.Time.IsZero() && p.At == "" }

// HandOver is how long a driver waits for the running handlers of a partition before it passes to another instance.
const HandOver = 20 * time.Second

// Route says what a Receive wants.
type Route struct {
	Channel Channel
	// Group shares the messages among all receivers of its name and remembers what they settled. "" on a Stream is a
	// reader of its own that leaves nothing behind (presence, tail, replay); on a Queue the channel's one group; on a
	// Topic an error.
	Group string
	// From matters only when the group is new (or ""). On a Queue it is ignored: a queue's messages wait for
	// its first receiver.
	From Position
	// Until, when set, makes Receive return nil once everything before that position is settled. Streams only. A time
	// that the broker's clock has passed means all that is stored when Receive begins, at the most; a later one is waited for.
	Until Position
	// Credit bounds the unsettled deliveries; nil = 256. See [Credit].
	Credit *Credit
	// Ready, if not nil, is called once: the group is registered and consuming. What is sent after is received.
	Ready func()
}

// Validate reports everything that is wrong with r on any broker, but for positions, whose form is each driver's own.
func (r Route) Validate() error {
	errs := []error{r.Channel.Validate()}
	switch {
	case r.Channel.Pattern == Queue && r.Group != "":
		errs = append(errs, fmt.Errorf("group %q: a queue has one group, without a name", clip(r.Group)))
	case r.Channel.Pattern == Topic && r.Group == "":
		errs = append(errs, errors.New("a topic delivers to groups: name one"))
	case r.Group != "":
		errs = append(errs, CheckGroup(r.Group))
	}
	if !r.Until.IsZero() && r.Channel.Pattern != Stream {
		errs = append(errs, errors.New("a position to end at is for streams only"))
	}
	return errors.Join(errs...)
}

// Origin is where a new group of r begins: a queue's with all that waits, a topic's with what is sent from now on, as
// what is kept is for the groups that were there, and a stream's at From.
func (r Route) Origin() Position {
	switch r.Channel.Pattern {
	case Queue:
		return Position{Start: true}
	case Topic:
		return Position{}
	}
	return r.From
}

// Delivery is one message in a receiver's hands. The driver keeps it alive at the broker until it is settled,
// however long the handler takes.
type Delivery struct {
	Envelope  *Envelope // the receiver's own
	Partition int       // -1 = unordered
	Position  string    // opaque; "" where the broker has none
	Accepted  time.Time // the broker's clock; zero = unknown
	// Valid is asked before each handler start: false once another instance may own the partition. Never nil.
	Valid func() bool
	// Fence grows with each owner of the partition, for a check where the effect lands; 0 = this broker has none.
	Fence uint64
	// Yield is closed when the partition is about to pass to another instance: settle what nobody has begun with
	// [Return] at once, in order, and begin nothing more of it. What runs may end; the driver waits for it, but no longer
	// than [HandOver]. It is closed no later than Revoked, and one channel serves all deliveries of a partition as long
	// as one instance has it. nil = never.
	Yield <-chan struct{}
	// Revoked is closed when another instance has, or may have, the partition: stop what runs, too. nil = never.
	Revoked <-chan struct{}
	// Settle ends the delivery: exactly once, from any goroutine; it does not block on the network. take gets
	// deliveries in order per Partition and must not block.
	Settle func(Outcome)
}

// Outcome is how a delivery ended.
type Outcome uint8

const (
	Done   Outcome = 1 // handled; also once a delayed copy or a dead letter of it is confirmed
	Return Outcome = 2 // not handled and nothing sent: the broker delivers it again, here or elsewhere
)

// Credit bounds the unsettled deliveries of a Receive and may be changed while it runs: no reconnect, no rebalance.
// The zero Credit allows none. Safe for concurrent use.
type Credit struct {
	mu      sync.Mutex
	n       int
	changed chan struct{}
}

// NewCredit returns a credit of n.
func NewCredit(n int) *Credit { return &Credit{n: n} }

// Set allows n unsettled deliveries from now on. 0 pauses; what is in flight stays with its handlers.
func (c *Credit) Set(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = max(n, 0)
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// Now is the present credit and a channel that is closed when it changes. For drivers.
func (c *Credit) Now() (n int, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.n, c.changed
}
