package deliverytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// stage is one check's connection, and what its handlers and its dead letters were seen to be.
type stage struct {
	*transporttest.Scene
	site   transporttest.Site
	broker transport.Broker

	mu      sync.Mutex
	changed chan struct{}
	tries   []try
	dead    []*delivery.DeadLetter
}

// try is one run of a handler.
type try struct {
	receiver, id, copy string
	at                 time.Time
	envelope           *transport.Envelope
}

// newStage connects, and reads the dead letters that are added from now on.
func newStage(ctx context.Context, s *transporttest.Scene, site transporttest.Site) *stage {
	g := &stage{Scene: s, site: site, broker: site.Connect(ctx, s), changed: make(chan struct{})}
	if err := delivery.Declare(ctx, g.broker, []transport.Channel{delivery.DeadLetters()}); err != nil {
		s.Fatalf("declaring the dead letters: %v", err)
	}
	s.Receive(ctx, g.broker, transport.Route{Channel: delivery.DeadLetters()}, func(d *transport.Delivery) {
		dead, _, err := delivery.ReadDeadLetter(d.Envelope)
		if err != nil {
			s.Errorf("reading a dead letter: %v", err)
		}
		d.Settle(transport.Done)
		g.note(func() {
			if dead != nil {
				g.dead = append(g.dead, dead)
			}
		})
	})
	return g
}

func (g *stage) note(add func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	add()
	close(g.changed)
	g.changed = make(chan struct{})
}

// lookAgain is how often until looks at what tells nobody of its changes.
const lookAgain = 50 * time.Millisecond

// until waits for holds; what it is about is said when it does not come true.
func (g *stage) until(ctx context.Context, what string, holds func() bool) {
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if holds() {
			return
		}
		look := time.NewTimer(lookAgain)
		select {
		case <-changed:
			look.Stop()
		case <-look.C:
		case <-ctx.Done():
			g.Fatalf("%s did not happen in time; got tries %v", what, g.describe())
		}
	}
}

func (g *stage) describe() (tries []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.tries[max(0, len(g.tries)-10):] {
		tries = append(tries, fmt.Sprintf("%s/%s/%s", t.receiver, t.id, t.copy))
	}
	return tries
}

// triesOf are the runs of a receiver's handler for a message; "" = for all.
func (g *stage) triesOf(receiver, id string) []try {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.tries), func(t try) bool { return t.receiver != receiver || id != "" && t.id != id })
}

// orderOf are the ids that begin so, in the order in which a receiver's handler ran for them.
func (g *stage) orderOf(receiver, prefix string) (ids []string) {
	for _, t := range g.triesOf(receiver, "") {
		if strings.HasPrefix(t.id, prefix) {
			ids = append(ids, t.id)
		}
	}
	return ids
}

// deadOf are the dead letters of a message at a receiver, oldest first.
func (g *stage) deadOf(receiver, id string) []*delivery.DeadLetter {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.dead), func(d *delivery.DeadLetter) bool { return d.Receiver != receiver || d.ID != id })
}

// buried waits for the n-th dead letter of a message and answers it.
func (g *stage) buried(ctx context.Context, receiver, id string, n int) *delivery.DeadLetter {
	g.until(ctx, fmt.Sprintf("dead letter %d of %s at %s", n, id, receiver), func() bool { return len(g.deadOf(receiver, id)) >= n })
	return g.deadOf(receiver, id)[n-1]
}

// tried waits until a receiver's handler ran n times for a message.
func (g *stage) tried(ctx context.Context, receiver, id string, n int) []try {
	g.until(ctx, fmt.Sprintf("attempt %d of %s at %s", n, id, receiver), func() bool { return len(g.triesOf(receiver, id)) >= n })
	return g.triesOf(receiver, id)
}

// channel is a new one.
func (g *stage) channel(p transport.Pattern, partitions int) transport.Channel {
	return transport.Channel{Address: g.Address(), Pattern: p, Partitions: partitions}
}

// declare makes a channel known to the stage's own connection, before anybody receives from it.
func (g *stage) declare(ctx context.Context, c transport.Channel) {
	if err := delivery.Declare(ctx, g.broker, []transport.Channel{c}); err != nil {
		g.Fatalf("declaring %s: %v", c.Address, err)
	}
}

// consumer is one that runs.
type consumer struct {
	*delivery.Consumer
	stop func(context.Context)
}

// consume runs a subscription, noting each run of its handler, and returns once it receives. It has the stage's own
// connection, and ends with the scene at the latest.
func (g *stage) consume(ctx context.Context, s delivery.Subscription) *consumer {
	return g.consumeOn(ctx, g.broker, s)
}

func (g *stage) consumeOn(ctx context.Context, b transport.Broker, s delivery.Subscription) *consumer {
	s.Style, s.Service = "command", "conform"
	receiver, handle := s.Group, s.Handle
	if receiver == "" {
		receiver = s.Channel.Address
	}
	s.Handle = func(ctx context.Context, e *transport.Envelope) error {
		g.note(func() { g.tries = append(g.tries, try{receiver, e.ID, e.Copy, time.Now(), e}) })
		return handle(ctx, e)
	}
	c, err := delivery.New(b, ledger.Discard, s)
	if err != nil {
		g.Fatalf("New(%s): %v", s.Channel.Address, err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	running, cancel := context.WithCancel(ctx)
	var failed error
	g.Go(func() {
		defer close(ended)
		failed = c.Run(running, func() { close(ready) })
	})
	stop := sync.OnceFunc(func() {
		cancel()
		<-ended
		if failed != nil {
			g.Errorf("Run(%s) = %v; want nil after a drain", s.Channel.Address, failed)
		}
	})
	g.Defer(func(context.Context) error {
		stop()
		return nil
	})
	select {
	case <-ready:
	case <-ended:
		g.Fatalf("Run(%s) = %v before it was ready", s.Channel.Address, failed)
	case <-ctx.Done():
		g.Fatalf("Run(%s) was not ready in time", s.Channel.Address)
	}
	return &consumer{Consumer: c, stop: func(context.Context) { stop() }}
}

// message is one with all that must survive.
func message(c transport.Channel, id, key string) *transport.Envelope {
	return &transport.Envelope{
		ID: id, Source: "conform", Address: c.Address, Key: key, ContentType: "application/json", Time: time.Now(),
		Correlation: "story-" + id, Causation: "cause-" + id, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Headers: map[string]string{"tenant": " Zürich ", "tracestate": "rojo=00f067aa0ba902b7", "baggage": "userId=Am%C3%A9lie"},
		Body:    []byte(`{"id":"` + id + `"}`),
	}
}

// send sends messages; all must be stored.
func (g *stage) send(ctx context.Context, batch ...*transport.Envelope) {
	for i, r := range delivery.Send(ctx, g.broker, batch) {
		if r.Err != nil {
			g.Fatalf("sending %s: %v", batch[i].ID, r.Err) //nolint:gosec // one receipt per envelope
		}
	}
}

// same wants an envelope to be the message that was sent, but for what an attempt may change.
func (g *stage) same(what string, got, sent *transport.Envelope) {
	want := *sent
	want.Copy, want.Group, want.Attempt, want.NotBefore, want.Lifetime = got.Copy, got.Group, got.Attempt, got.NotBefore, got.Lifetime
	for _, d := range transporttest.Differences(&want, got) {
		g.Errorf("%s: %s", what, d)
	}
}
