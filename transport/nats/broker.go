package nats

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/parley-io/parley/transport"
)

// Broker is one connection to a server. All methods may be called concurrently.
type Broker struct {
	options  Options
	names    names
	id       string // of this connection among the receivers of a group
	nc       *natsio.Conn
	js       jetstream.JetStream
	features transport.Features

	confirms *confirms
	audience *audience
	room     room
	doubts   doubts
	epoch    atomic.Int64              // counts the connections that were begun
	seen     atomic.Pointer[time.Time] // when the last confirmed round trip began
	apart    atomic.Pointer[error]     // why the last try to reconnect failed; nil = it is connected

	mu          sync.Mutex
	closed      bool
	lanes       map[string]*lane // by stream
	receivers   map[string]int   // live ones of this Broker, by stream and consumer
	reconnected chan struct{}    // closed and replaced with each reconnection
	mover       bool             // runs

	owners *owners
	shares atomic.Int64 // counts those that were begun

	ended   chan struct{}  // closed when the connection is
	closing chan struct{}  // Close was called
	dead    chan struct{}  // Close no longer waits
	stop    chan struct{}  // ends the keeper and the dispatcher
	users   sync.WaitGroup // Sends, Receives and Declares
	owned   sync.WaitGroup // keeper, dispatcher
	buried  chan struct{}  // everything is freed
}

var (
	_ transport.Broker   = (*Broker)(nil)
	_ transport.Operator = (*Broker)(nil)
)

// Open connects. It fails when the options are wrong, no server answers until ctx is done, or the server refuses us or
// would lose messages: then the error has a [transport.Error], whose code says what is certainly wrong. Afterwards the
// connection comes back by itself, for as long as it takes, also after the server has refused it.
func Open(ctx context.Context, o Options) (*Broker, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	b := &Broker{
		options: o, names: names{o.Prefix}, id: nuid.Next(),
		lanes: make(map[string]*lane), receivers: make(map[string]int), reconnected: make(chan struct{}),
		ended: make(chan struct{}), closing: make(chan struct{}), dead: make(chan struct{}),
		stop: make(chan struct{}), buried: make(chan struct{}),
	}
	b.owners = newOwners(b)
	if err := b.connect(ctx); err != nil {
		return nil, fmt.Errorf("nats: connect to %s: %w", b.where(), unopened(err))
	}
	b.features = transport.Features{
		MaxBytes: transport.DefaultMaxBody, Dedupe: DedupeWindow, Delay: MaxDelay,
		Streams: true, Audience: true, Survives: o.Survives,
	}
	b.owned.Go(b.confirms.dispatch)
	b.owned.Go(b.keep)
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
		b.nc.Close() // nobody waits for an answer any longer
		<-b.buried
	}
	return fmt.Errorf("nats: close: %w: what was running has been given up", context.Cause(ctx))
}

// bury frees everything once nobody uses it.
func (b *Broker) bury() {
	defer close(b.buried)
	b.users.Wait()
	close(b.stop)
	b.owners.keep.Wait()
	b.nc.Close()
	<-b.ended
	b.owned.Wait()
}

// begin notes a user of the connection, unless the Broker is closed; b.users.Done ends it.
func (b *Broker) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("nats: %w", transport.ErrClosed)
	}
	b.users.Add(1)
	return nil
}

func (b *Broker) announceReconnection() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.reconnected)
	b.reconnected = make(chan struct{})
}

// reconnection is closed with the next reconnection.
func (b *Broker) reconnection() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reconnected
}

// away is why there is no connection, nil where that is not known.
func (b *Broker) away() error {
	if err := b.apart.Load(); err != nil {
		return *err
	}
	return nil
}

// valid reports whether the last confirmed round trip is recent enough that nobody else has our deliveries.
func (b *Broker) valid() bool { return elapsed(*b.seen.Load()) < Lease }

// keep confirms round trips, ends what waits too long for a confirmation, and brings things up to date after a
// reconnection.
func (b *Broker) keep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	reconnected := b.reconnection()
	for {
		select {
		case <-b.stop:
			return
		case <-reconnected:
			reconnected = b.reconnection()
			b.restore(ctx)
		case <-tick.C:
		}
		b.beat(ctx)
		b.measure(ctx)
		b.confirms.expire(time.Now().Add(-answerLimit))
	}
}

// beat is one round trip.
func (b *Broker) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	begin := time.Now()
	if b.nc.FlushWithContext(ctx) == nil {
		b.seen.Store(&begin)
	}
}

// restore declares again what a server without its data has lost, and learns which groups there are.
func (b *Broker) restore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for _, l := range b.declared() {
		_, _ = b.create(ctx, l.channel) // who needs it finds out: Send and Receive say what is wrong
		_ = b.audience.learn(ctx, l.stream)
	}
}

func (b *Broker) declared() []*lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lanes []*lane
	for _, l := range b.lanes {
		if l.channel.Address != "" {
			lanes = append(lanes, l)
		}
	}
	return lanes
}
