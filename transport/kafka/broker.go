package kafka

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// Broker is what one process has of a cluster. All methods may be called concurrently.
type Broker struct {
	options  Options
	names    names
	client   *kgo.Client // asks
	admin    *kadm.Client
	features transport.Features
	producer producer
	registry *registry
	adrift   adrift
	spread   atomic.Uint32 // counts messages without order

	mu       sync.Mutex
	closed   bool
	channels map[string]transport.Channel // declared, by address
	topics   map[string]kadm.TopicID      // of topics, by name
	keeping  bool                         // mover and sweeper run

	mending sync.Mutex     // held while channels that were deleted are declared again
	closing chan struct{}  // Close was called
	dead    chan struct{}  // Close no longer waits
	users   sync.WaitGroup // Sends, Receives, Declares; mover and sweeper
	buried  chan struct{}  // everything is freed
}

var (
	_ transport.Broker   = (*Broker)(nil)
	_ transport.Operator = (*Broker)(nil)
)

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
		<-b.buried
	}
	return fmt.Errorf("kafka: close: %w: what was running has been given up", context.Cause(ctx))
}

// bury frees everything once nobody uses it.
func (b *Broker) bury() {
	defer close(b.buried)
	b.users.Wait()
	b.registry.close()
	b.producer.now().Close()
	b.client.Close()
}

// begin notes a user of the Broker, unless that is closed; b.users.Done ends it.
func (b *Broker) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("kafka: %w", transport.ErrClosed)
	}
	b.users.Add(1)
	return nil
}

// channel is what was declared under an address.
func (b *Broker) channel(address string) (transport.Channel, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.channels[address]
	return c, ok
}
