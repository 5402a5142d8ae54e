package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley/transport"
)

// Broker is two connections to a server: one for publishing, which the server no longer reads when it takes no more
// messages, and one for everything else. All methods may be called concurrently.
type Broker struct {
	options  Options
	names    names
	features transport.Features
	outward  *link
	inward   *link
	denied   denied

	laddering chan struct{} // of capacity 1: held while the ladder is made
	laddered  atomic.Bool
	moving    sync.Once         // begins to move what is due
	clock     *clock            // of the server
	repairing chan struct{}     // of capacity 1: held while something is declared again
	repaired  map[string]repair // the last, by exchange; of who holds repairing

	mu       sync.Mutex
	closed   bool
	channels map[string]transport.Channel // declared, by address
	turns    map[string]chan struct{}     // of capacity 1, by what the server is asked about; see transact

	closing chan struct{}  // Close was called
	dead    chan struct{}  // Close no longer waits
	stop    func()         // ends the links and the guard
	users   sync.WaitGroup // Sends, Receives, Declares, the mover and who asks for the time
	owned   sync.WaitGroup // links, guard
	buried  chan struct{}  // everything is freed
}

var (
	_ transport.Broker   = (*Broker)(nil)
	_ transport.Operator = (*Broker)(nil)
)

// Open connects. It fails when the options are wrong, no server can be reached, or the first that can does not want
// us; a [transport.Error] says which. Afterwards the connections come back by themselves, for as long as it takes.
func Open(ctx context.Context, o Options) (*Broker, error) {
	servers, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("rabbitmq: %w", err)
	}
	d := &dialer{o, servers}
	b := &Broker{
		options: o, names: names{o.Prefix}, channels: make(map[string]transport.Channel), turns: make(map[string]chan struct{}),
		features: transport.Features{
			MaxBytes: transport.DefaultMaxBody, Delay: MaxDelay, Streams: true,
			Survives: "process", // streams are not written through to the disk, and no client can ask for the cluster's size
		},
		outward: newLink(d, "publishes", true), inward: newLink(d, "receives", false),
		denied: newDenied(), laddering: make(chan struct{}, 1), clock: newClock(),
		repairing: make(chan struct{}, 1), repaired: make(map[string]repair),
		closing: make(chan struct{}), dead: make(chan struct{}), buried: make(chan struct{}),
	}
	b.outward.twin, b.inward.twin = b.inward, b.outward
	if err := b.inward.open(ctx); err != nil {
		return nil, fmt.Errorf("rabbitmq: %w", err)
	}
	if err := b.outward.open(ctx); err != nil {
		s, _, _ := b.inward.now()
		s.close()
		return nil, fmt.Errorf("rabbitmq: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.owned.Go(func() { b.inward.keep(life) })
	b.owned.Go(func() { b.outward.keep(life) })
	b.owned.Go(func() { b.guard(life) })
	return b, nil
}

// Features implements [transport.Broker].
func (b *Broker) Features() transport.Features { return b.features }

// Close implements [transport.Broker].
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.mu.Unlock()
	if first {
		close(b.closing)
		go b.bury() // its end is b.buried, which Close waits for
	}
	select {
	case <-b.buried:
		return nil
	case <-ctx.Done():
	}
	if first {
		close(b.dead)
		b.stop()
		<-b.buried
	}
	return fmt.Errorf("rabbitmq: close: %w: what was running has been given up", context.Cause(ctx))
}

// bury frees everything once nobody uses it.
func (b *Broker) bury() {
	defer close(b.buried)
	b.users.Wait()
	b.stop()
	b.owned.Wait()
}

// begin notes a user of the connections, unless the Broker is closed; b.users.Done ends it.
func (b *Broker) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("rabbitmq: %w", transport.ErrClosed)
	}
	b.users.Add(1)
	return nil
}

// guard confirms round trips.
func (b *Broker) guard(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if s, _, _ := b.inward.now(); s != nil {
			s.beat()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// errAway is what a Send is told while there is no connection.
func errAway(why error) error {
	if why == nil {
		why = errors.New("the connection was lost")
	}
	return fmt.Errorf("%w: no connection to the server: %w", transport.ErrNotSent, why)
}
