package transporttest

import (
	"context"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

// patience is how long a [Receiving] waits for what must happen.
const patience = time.Minute

// Receiving is a Receive that runs, for a driver's own tests. Its methods fail the test when what must happen does not.
type Receiving struct {
	Got    chan *transport.Delivery // what it was given, unsettled
	Cancel context.CancelFunc
	Ended  chan error // gets what Receive returned

	t testing.TB
}

// StartReceiving begins a Receive and returns once it is ready. The test's end cancels it.
func StartReceiving(t testing.TB, b transport.Broker, r transport.Route) *Receiving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	x := &Receiving{Got: make(chan *transport.Delivery, 100_000), Cancel: cancel, Ended: make(chan error, 1), t: t}
	ready := make(chan struct{})
	r.Ready = func() { close(ready) }
	go func() { x.Ended <- b.Receive(ctx, r, func(d *transport.Delivery) { x.Got <- d }) }()
	t.Cleanup(cancel)
	select {
	case <-ready:
	case err := <-x.Ended:
		t.Fatalf("Receive = %v before it was ready", err)
	case <-time.After(patience):
		t.Fatal("Receive is not ready; want Ready to be called")
	}
	return x
}

// Next is the next delivery.
func (x *Receiving) Next() *transport.Delivery {
	x.t.Helper()
	select {
	case d := <-x.Got:
		return d
	case err := <-x.Ended:
		x.t.Fatalf("Receive = %v; want a delivery", err)
	case <-time.After(patience):
		x.t.Fatal("no delivery came")
	}
	return nil
}

// Done takes n deliveries, settles them and gives their ids.
func (x *Receiving) Done(n int) (ids []string) {
	x.t.Helper()
	for range n {
		d := x.Next()
		ids = append(ids, d.Envelope.ID)
		d.Settle(transport.Done)
	}
	return ids
}

// DoneUntil settles what comes until the id has come: first, perhaps, what was settled when the connection was cut.
func (x *Receiving) DoneUntil(id string) {
	x.t.Helper()
	for x.Done(1)[0] != id {
	}
}

// End waits for the Receive to return.
func (x *Receiving) End() error {
	x.t.Helper()
	select {
	case err := <-x.Ended:
		return err
	case <-time.After(patience):
		x.t.Fatal("Receive has not returned")
	}
	return nil
}

// Stop ends the Receive, which must return nil.
func (x *Receiving) Stop() {
	x.t.Helper()
	x.Cancel()
	if err := x.End(); err != nil {
		x.t.Errorf("Receive = %v; want nil", err)
	}
}

// Drop ends the Receive like Stop, and returns what is not settled.
func (x *Receiving) Drop() {
	x.t.Helper()
	x.Cancel()
	for {
		select {
		case d := <-x.Got:
			d.Settle(transport.Return)
		case err := <-x.Ended:
			if err != nil {
				x.t.Errorf("Receive = %v; want nil", err)
			}
			return
		case <-time.After(patience):
			x.t.Fatal("Receive has not returned")
		}
	}
}
