package mem_test

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

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	jobs    = transport.Channel{Address: "jobs.v1.run", Pattern: transport.Queue}
	keyed   = transport.Channel{Address: "jobs.v1.keyed", Pattern: transport.Queue, Partitions: 8}
	placed  = transport.Channel{Address: "orders.v1.placed", Pattern: transport.Topic}
	history = transport.Channel{Address: "orders.v1.history", Pattern: transport.Stream}
)

// rig is a fabric with one process that declares and sends.
type rig struct {
	*testing.T
	fabric *mem.Fabric
	client *mem.Process
}

// bubble runs f in virtual time, on a fabric with the channels above.
func bubble(t *testing.T, f func(r *rig), opts ...mem.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, fabric: mem.New(opts...)}
		r.client = r.fabric.Process("client")
		r.declare(jobs, keyed, placed, history)
		f(r)
	})
}

func (r *rig) declare(channels ...transport.Channel) {
	r.Helper()
	if err := r.client.Broker().Declare(r.Context(), channels); err != nil {
		r.Fatalf("Declare = %v, want nil", err)
	}
}

// send sends one message per id to an address.
func (r *rig) send(address string, ids ...string) []transport.Receipt {
	r.Helper()
	batch := make([]*transport.Envelope, len(ids))
	for i, id := range ids {
		batch[i] = &transport.Envelope{ID: id, Address: address}
	}
	return r.sendAll(batch...)
}

func (r *rig) sendAll(batch ...*transport.Envelope) []transport.Receipt {
	r.Helper()
	receipts := r.client.Broker().Send(r.Context(), batch)
	for i, receipt := range receipts {
		if receipt.Err != nil {
			r.Fatalf("Send(%s) = %v, want it stored", batch[i].ID, receipt.Err)
		}
	}
	return receipts
}

// inbox is a running Receive that holds what it got until it is told otherwise.
type inbox struct {
	rig    *rig
	stop   context.CancelFunc
	ended  chan error
	mu     sync.Mutex
	got    []*transport.Delivery
	settle bool // as Done, at once
}

// hold starts a Receive that settles nothing by itself.
func (r *rig) hold(p *mem.Process, route transport.Route) *inbox { return r.receive(p, route, false) }

// handle starts a Receive that settles everything as Done.
func (r *rig) handle(p *mem.Process, route transport.Route) *inbox { return r.receive(p, route, true) }

func (r *rig) receive(p *mem.Process, route transport.Route, settle bool) *inbox {
	ctx, cancel := context.WithCancel(r.Context())
	in := &inbox{rig: r, stop: cancel, ended: make(chan error, 1), settle: settle}
	go func() { in.ended <- p.Broker().Receive(ctx, route, in.take) }()
	r.Cleanup(p.Kill)
	synctest.Wait()
	return in
}

func (in *inbox) take(d *transport.Delivery) {
	in.mu.Lock()
	in.got = append(in.got, d)
	in.mu.Unlock()
	if in.settle {
		d.Settle(transport.Done)
	}
}

// deliveries are those since the last call, once nothing more is to come.
func (in *inbox) deliveries() []*transport.Delivery {
	synctest.Wait()
	in.mu.Lock()
	defer in.mu.Unlock()
	got := in.got
	in.got = nil
	return got
}

// ids are those of the deliveries since the last call.
func (in *inbox) ids() []string {
	ids := []string{}
	for _, d := range in.deliveries() {
		ids = append(ids, d.Envelope.ID)
	}
	return ids
}

// want fails the test unless exactly these ids came since the last call.
func (in *inbox) want(ids ...string) {
	in.rig.Helper()
	if got := in.ids(); !slices.Equal(got, ids) {
		in.rig.Errorf("received %v, want %v", got, ids)
	}
}

// end stops the Receive and answers what it returned; an error that says so if it goes on.
func (in *inbox) end() error {
	in.stop()
	return in.result()
}

var errRuns = errors.New("still receives")

func (in *inbox) result() error {
	synctest.Wait()
	select {
	case err := <-in.ended:
		return err
	default:
		return errRuns
	}
}

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%03d", prefix, i)
	}
	return all
}

func done(deliveries []*transport.Delivery) {
	for _, d := range deliveries {
		d.Settle(transport.Done)
	}
}

const minute = time.Minute
