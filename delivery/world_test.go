package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	queue  = transport.Channel{Address: "bank.v1.pay", Pattern: transport.Queue}
	keyed  = transport.Channel{Address: "bank.v1.book", Pattern: transport.Queue, Partitions: 4}
	topic  = transport.Channel{Address: "shop.v1.placed", Pattern: transport.Topic}
	never  = delivery.Retries{Set: true}
	errOut = errors.New("card declined")
)

// notes is a Recorder that keeps everything in memory and confirms at once, or when confirm says so.
type notes struct {
	mu      sync.Mutex
	all     []ledger.Transition
	confirm func(ledger.Transition, func()) // nil = at once
}

func (n *notes) Record(t ledger.Transition, confirmed func()) {
	t.At = time.Now()
	n.mu.Lock()
	n.all = append(n.all, t)
	n.mu.Unlock()
	switch {
	case confirmed == nil:
	case n.confirm != nil:
		n.confirm(t, confirmed)
	default:
		confirmed()
	}
}

// of is the trail of one message at one receiver, a line per transition.
func (n *notes) of(id, group string) (lines []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.all {
		if t.ID == id && (group == "" || t.Group == group) {
			lines = append(lines, fmt.Sprintf("%s %d/%d%s", t.Kind, t.Attempt, t.Attempts, t.Copy))
		}
	}
	return lines
}

func (n *notes) transitions() []ledger.Transition {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.all)
}

// consumer is one that runs.
type consumer struct {
	*delivery.Consumer
	t      *testing.T
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // once ended
}

// start runs a subscription until the test ends, and returns once it receives.
func start(t *testing.T, b transport.Broker, rec ledger.Recorder, s delivery.Subscription) *consumer {
	t.Helper()
	if s.Style == "" {
		s.Style = "command"
	}
	c, err := delivery.New(b, rec, s)
	if err != nil {
		t.Fatalf("New(%s) = %v; want a consumer", s.Channel.Address, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &consumer{Consumer: c, t: t, cancel: cancel, ended: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(x.ended)
		x.err = c.Run(ctx, func() { close(ready) })
	}()
	t.Cleanup(func() { _ = x.stop() })
	select {
	case <-ready:
	case <-x.ended:
		t.Fatalf("Run(%s) = %v before it was ready", s.Channel.Address, x.err)
	}
	return x
}

func (x *consumer) stop() error {
	x.cancel()
	<-x.ended
	return x.err
}

// send sends messages; all must be stored.
func send(t *testing.T, b transport.Broker, batch ...*transport.Envelope) {
	t.Helper()
	for i, r := range delivery.Send(context.Background(), b, batch) {
		if r.Err != nil {
			t.Fatalf("sending %s: %v", batch[i].ID, r.Err)
		}
	}
}

func declare(t *testing.T, b transport.Broker, channels ...transport.Channel) {
	t.Helper()
	if err := delivery.Declare(context.Background(), b, append(channels, delivery.DeadLetters())); err != nil {
		t.Fatalf("declaring: %v", err)
	}
}

func to(c transport.Channel, id string) *transport.Envelope {
	return &transport.Envelope{
		ID: id, Address: c.Address, Source: "test", Time: time.Now(), Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Correlation: "story", Headers: map[string]string{"tenant": "zürich"}, Body: []byte(`{"id":"` + id + `"}`),
	}
}

func withKey(e *transport.Envelope, key string) *transport.Envelope {
	e.Key = key
	return e
}

// graveyard is everything in the stream of dead letters.
func graveyard(t *testing.T, b transport.Broker) (dead []*delivery.DeadLetter, redriven []*delivery.Redriven) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	declare(t, b)
	route := transport.Route{Channel: delivery.DeadLetters(), From: transport.Position{Start: true}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := b.Receive(ctx, route, func(d *transport.Delivery) {
			x, r, err := delivery.ReadDeadLetter(d.Envelope)
			switch {
			case err != nil:
				t.Errorf("ReadDeadLetter = %v", err)
			case x != nil:
				dead = append(dead, x)
			default:
				redriven = append(redriven, r)
			}
			d.Settle(transport.Done)
		})
		if err != nil {
			t.Errorf("reading the dead letters: %v", err)
		}
	}()
	synctest.Wait()
	cancel()
	<-done
	return dead, redriven
}

// bubble runs f with virtual time on a new fabric.
func bubble(t *testing.T, f func(t *testing.T, fabric *mem.Fabric, rec *notes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, mem.New(), new(notes)) })
}

// calls notes who was called when.
type calls struct {
	mu  sync.Mutex
	all []call
}

type call struct {
	id, copy string
	at       time.Duration // since the first
	moment   time.Time
}

func (c *calls) add(e *transport.Envelope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	at := time.Duration(0)
	if len(c.all) > 0 {
		at = now.Sub(c.all[0].moment)
	}
	c.all = append(c.all, call{e.ID, e.Copy, at, now})
}

func (c *calls) ids() (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.all {
		ids = append(ids, x.id)
	}
	return ids
}

func (c *calls) list() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}
