package collector

import (
	"context"
	"errors"
	"fmt"
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
	placed = transport.Channel{Address: "shop.v1.order-placed", Pattern: transport.Topic}
	charge = transport.Channel{Address: "payments.v1.charge", Pattern: transport.Queue}
)

// world is a network in one bubble: a collector, a process that sends, and the consumers that a test adds.
type world struct {
	t      *testing.T
	fabric *mem.Fabric
	c      *Collector
	peer   string
	ctx    context.Context // of everything that runs
	stop   context.CancelFunc
	parts  sync.WaitGroup

	shop   *mem.Process
	writer *ledger.Writer
}

// inWorld runs test in a bubble, with a collector that has caught up.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fabric: mem.New()}
		w.ctx, w.stop = context.WithCancel(t.Context())
		w.shop = w.fabric.Process("shop")
		w.writer = ledger.NewWriter(w.shop.Broker(), "shop")
		w.declare(w.shop.Broker(), placed, charge)
		w.c = w.collect(w.fabric.Process("dev"))
		test(t, w)
		w.stop()
		w.parts.Wait()
		if err := w.writer.Close(t.Context()); err != nil {
			t.Errorf("closing the writer: %v", err)
		}
	})
}

func (w *world) declare(b transport.Broker, channels ...transport.Channel) {
	w.t.Helper()
	if err := b.Declare(w.ctx, channels); err != nil {
		w.t.Fatal(err)
	}
}

// collect runs a collector in a process, and returns when it has caught up and answers.
func (w *world) collect(p *mem.Process) *Collector {
	w.t.Helper()
	c := New(p.Broker())
	ready, serving := make(chan struct{}), make(chan string, 1)
	w.parts.Go(func() {
		if err := c.Run(w.ctx, func() { close(ready) }); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.parts.Go(func() {
		if err := p.Caller().Answer(w.ctx, c.Endpoints(), func(peer string) { serving <- peer }); err != nil {
			w.t.Errorf("Answer: %v", err)
		}
	})
	<-ready
	w.peer = <-serving
	return c
}

// consume runs a consumer of a channel in a process of its own, and returns when it is registered.
func (w *world) consume(channel transport.Channel, group string, handle func(context.Context, *transport.Envelope) error) {
	w.t.Helper()
	w.consumeAs(channel, group, styleOf(channel), handle)
}

func styleOf(channel transport.Channel) string {
	if channel.Pattern == transport.Queue {
		return ledger.StyleCommand
	}
	return ledger.StyleEvent
}

func (w *world) consumeAs(channel transport.Channel, group, style string, handle func(context.Context, *transport.Envelope) error) {
	w.t.Helper()
	w.run(group, delivery.Subscription{
		Channel: channel, Group: group, Service: group, Style: style, Handle: handle, Concurrency: 1,
		Retries: delivery.Retries{Set: true, Immediate: 1, Delays: []time.Duration{time.Minute}},
	})
}

// run runs a subscription in a process of its own, and returns when it is registered.
func (w *world) run(service string, s delivery.Subscription) {
	w.t.Helper()
	p := w.fabric.Process(service + "-1")
	writer := ledger.NewWriter(p.Broker(), service)
	consumer, err := delivery.New(p.Broker(), ledger.As(writer, service, service+"-1"), s)
	if err != nil {
		w.t.Fatal(err)
	}
	ready := make(chan struct{})
	w.parts.Go(func() {
		if err := consumer.Run(w.ctx, func() { close(ready) }); err != nil {
			w.t.Errorf("consumer %s: %v", service, err)
		}
		if err := writer.Close(context.WithoutCancel(w.ctx)); err != nil {
			w.t.Errorf("writer of %s: %v", service, err)
		}
	})
	<-ready
}

// send sends a message and records its acceptance.
func (w *world) send(channel transport.Channel, id string, expected ...string) {
	w.t.Helper()
	w.sendAs(channel, id, styleOf(channel), expected...)
}

func (w *world) sendAs(channel transport.Channel, id, style string, expected ...string) {
	w.t.Helper()
	e := &transport.Envelope{ID: id, Source: "shop", Address: channel.Address, Key: "key-of-" + id, ContentType: "application/json", Time: time.Now(), Body: []byte(`{"id":"` + id + `"}`)}
	if r := w.shop.Broker().Send(w.ctx, []*transport.Envelope{e}); r[0].Err != nil {
		w.t.Fatal(r[0].Err)
	}
	t := ledger.Of(ledger.Accepted, style, e)
	t.Expected = append([]string{}, expected...)
	ledger.As(w.writer, "shop", "shop-1").Record(t, nil)
}

func (w *world) follow(id string, wait time.Duration) ledger.Trail {
	w.t.Helper()
	trail, err := Follow(w.ctx, w.shop.Caller(), w.peer, id, wait)
	if err != nil {
		w.t.Fatalf("Follow(%s): %v", id, err)
	}
	return trail
}

// states are what the receivers of the first hop are at.
func states(t ledger.Trail) (all string) {
	if len(t.Hops) == 0 {
		return "no hop"
	}
	for i, r := range t.Hops[0].Receivers {
		if i > 0 {
			all += " "
		}
		all += fmt.Sprintf("%s:%s/%d", r.Group, r.State, len(r.Attempts))
	}
	return all
}

var errDown = errors.New("database 10.0.0.7 is down")
