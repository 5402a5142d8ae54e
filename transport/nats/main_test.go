package nats_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestMain(m *testing.M) {
	transporttest.Play(play)
	goleak.VerifyTestMain(m)
}

// patience is for what must happen: a test that waits so long has failed.
const patience = 20 * time.Second

func startServer(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := embedded.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("starting the server: %v", err)
	}
	t.Cleanup(func() { closeIt(t, s) })
	return s
}

func open(t testing.TB, s *embedded.Server) *nats.Broker {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Options{InProcess: s, Token: s.Token(), Survives: s.Survives()})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	return b
}

func closeIt(t testing.TB, c interface {
	Close(ctx context.Context) error
}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close = %v; want nil", err)
	}
}

func declare(t testing.TB, b *nats.Broker, c ...transport.Channel) {
	t.Helper()
	if err := b.Declare(t.Context(), c); err != nil {
		t.Fatalf("Declare = %v; want nil", err)
	}
}

var ids struct {
	sync.Mutex
	n int
}

func envelope(c transport.Channel, key string) *transport.Envelope {
	ids.Lock()
	defer ids.Unlock()
	ids.n++
	return &transport.Envelope{ID: fmt.Sprintf("id-%d", ids.n), Source: "test", Address: c.Address, Key: key, Body: []byte(`{}`)}
}

func send(t testing.TB, b *nats.Broker, e ...*transport.Envelope) []transport.Receipt {
	t.Helper()
	receipts := b.Send(t.Context(), e)
	for i, r := range receipts {
		if r.Err != nil {
			t.Fatalf("receipt of %s: %v; want none", e[i].ID, r.Err)
		}
	}
	return receipts
}

// receiving is a Receive that runs.
type receiving struct {
	t      testing.TB
	got    chan *transport.Delivery
	cancel context.CancelFunc
	ended  chan error
}

func receive(t testing.TB, b *nats.Broker, r transport.Route) *receiving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	x := &receiving{t: t, got: make(chan *transport.Delivery, 10_000), cancel: cancel, ended: make(chan error, 1)}
	ready := make(chan struct{})
	r.Ready = func() { close(ready) }
	go func() { x.ended <- b.Receive(ctx, r, func(d *transport.Delivery) { x.got <- d }) }()
	select {
	case <-ready:
	case err := <-x.ended:
		t.Fatalf("Receive = %v before it was ready", err)
	case <-time.After(patience):
		t.Fatal("Receive is not ready; want Ready to be called")
	}
	t.Cleanup(cancel)
	return x
}

// next is the next delivery.
func (x *receiving) next() *transport.Delivery {
	x.t.Helper()
	select {
	case d := <-x.got:
		return d
	case err := <-x.ended:
		x.t.Fatalf("Receive = %v; want a delivery", err)
	case <-time.After(patience):
		x.t.Fatal("no delivery came")
	}
	return nil
}

// done takes n deliveries, settles them and gives their ids.
func (x *receiving) done(n int) (ids []string) {
	x.t.Helper()
	for range n {
		d := x.next()
		ids = append(ids, d.Envelope.ID)
		d.Settle(transport.Done)
	}
	return ids
}

// doneUntil settles what comes until the id has come: first, perhaps, what was settled when the connection was cut.
func (x *receiving) doneUntil(id string) {
	x.t.Helper()
	for x.done(1)[0] != id {
	}
}

// stop ends the Receive, which must return nil.
func (x *receiving) stop() {
	x.t.Helper()
	x.cancel()
	select {
	case err := <-x.ended:
		if err != nil {
			x.t.Errorf("Receive = %v; want nil", err)
		}
	case <-time.After(patience):
		x.t.Fatal("Receive has not returned; want nil when all is settled")
	}
}

func idsOf(es []*transport.Envelope) string {
	var s []string
	for _, e := range es {
		s = append(s, e.ID)
	}
	return strings.Join(s, " ")
}
