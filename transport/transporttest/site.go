package transporttest

import (
	"context"
	"os/exec"
	"time"

	"github.com/parley-io/parley/transport"
)

// Site is a running broker, and what a check may do to it.
type Site struct {
	// Open connects as another process would: what one connection stores, the others receive. The Broker must be a
	// [transport.Operator] too.
	Open func(ctx context.Context) (transport.Broker, error)
	// Through is Open by another address: via is given the broker's "host:port" and answers the one to connect to, of a
	// network that breaks on purpose. It is called once for each address that is needed. nil = cannot.
	Through func(ctx context.Context, via func(address string) string) (transport.Broker, error)
	// Command is a child process, not started yet, that connects to the broker and calls [Work] with args and its
	// standard output. The check kills it with SIGKILL. nil = the work is done in this process and Crash ends it.
	Command func(ctx context.Context, args ...string) *exec.Cmd
	// Crash breaks a connection as the death of its process would: nothing is said to the broker. nil = cannot.
	Crash func(transport.Broker) error
	// Kill ends the broker as SIGKILL does and starts it again on the same data, for those who are connected too.
	// nil = cannot.
	Kill func(ctx context.Context) error
	// PowerLoss ends the broker as the loss of its power does, and starts it again on what the disk had by then. nil =
	// cannot.
	PowerLoss func(ctx context.Context) error
	// Wipe ends the broker and starts it again without anything that it had stored. nil = cannot.
	Wipe func(ctx context.Context) error
	// Denied connects as somebody who may not create, send or receive anything. nil = cannot.
	Denied func(ctx context.Context) (transport.Broker, error)
	// Rotate gives the user of Open another password at the broker, and ends its connections. Who opens, or is open, is told
	// the old one until learn is called, and from then on the new one, as by a file that is read at each connection. nil =
	// cannot.
	Rotate func(ctx context.Context) (learn func() error, err error)
	// Down is the first half of Kill; up is the second one, and returns when the broker serves. nil = Kill, so that the
	// broker is away for no longer than it takes to start.
	Down func(ctx context.Context) (up func(ctx context.Context) error, err error)
}

// Connect opens a connection that is closed with the scene.
func (t Site) Connect(ctx context.Context, s *Scene) transport.Broker {
	b, err := t.Open(ctx)
	return s.owned(b, err)
}

// owned closes a connection that was opened with the scene.
func (s *Scene) owned(b transport.Broker, err error) transport.Broker {
	if err != nil {
		s.Fatalf("connecting: %v", err)
	}
	s.Defer(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return b.Close(ctx)
	})
	return b
}

// channel makes a channel of a new address known to b.
func (s *Scene) channel(ctx context.Context, b transport.Broker, p transport.Pattern, partitions int) transport.Channel {
	c := transport.Channel{Address: s.Address(), Pattern: p, Partitions: partitions}
	s.declare(ctx, b, c)
	return c
}

func (s *Scene) declare(ctx context.Context, b transport.Broker, c ...transport.Channel) {
	if err := b.Declare(ctx, c); err != nil {
		s.Fatalf("declaring %v: %v", c, err)
	}
}

// receiver is a Receive that runs.
type receiver struct {
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // once ended

	route transport.Route // of one that was begun
	ready chan struct{}
}

// Receive receives until the end of the scene. It returns once the Receive is ready.
func (s *Scene) Receive(ctx context.Context, b transport.Broker, r transport.Route, take func(*transport.Delivery)) {
	s.receive(ctx, b, r, take)
}

// receive starts a Receive and returns once it is ready. It is stopped with the scene at the latest.
func (s *Scene) receive(ctx context.Context, b transport.Broker, r transport.Route, take func(*transport.Delivery)) *receiver {
	x := s.begin(ctx, b, r, take)
	x.await(ctx, s)
	return x
}

// begin is receive for several that get ready beside each other, where joining a group takes its time: each is to be
// awaited.
func (s *Scene) begin(ctx context.Context, b transport.Broker, r transport.Route, take func(*transport.Delivery)) *receiver {
	ready := make(chan struct{})
	r.Ready = func() { close(ready) }
	x := s.start(ctx, b, r, take)
	x.route, x.ready = r, ready
	return x
}

// await returns once a Receive that was begun is ready.
func (x *receiver) await(ctx context.Context, s *Scene) {
	select {
	case <-x.ready:
	case <-x.ended:
		if closed(x.ready) {
			return // a range that was short
		}
		s.Fatalf("Receive of %s, group %q ended before it was ready: %v", x.route.Channel.Address, x.route.Group, x.err)
	case <-ctx.Done():
		s.Fatalf("Receive of %s, group %q was not ready in time", x.route.Channel.Address, x.route.Group)
	}
}

func (s *Scene) start(ctx context.Context, b transport.Broker, r transport.Route, take func(*transport.Delivery)) *receiver {
	x := &receiver{ended: make(chan struct{})}
	ctx, x.cancel = context.WithCancel(ctx)
	s.Go(func() {
		defer close(x.ended)
		x.err = b.Receive(ctx, r, take)
	})
	s.Defer(func(context.Context) error {
		x.cancel()
		return nil
	})
	return x
}

// stop ends the Receive and waits for it. A Receive that does not end, or not with nil, is a finding.
func (x *receiver) stop(ctx context.Context, s *Scene) {
	x.cancel()
	x.wait(ctx, s)
}

// wait is stop for a Receive that ends by itself. It has a few seconds also when the check's time is over.
func (x *receiver) wait(ctx context.Context, s *Scene) {
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		ctx = late
	}
	select {
	case <-x.ended:
		if x.err != nil {
			s.Errorf("Receive = %v; want nil", x.err)
		}
	case <-ctx.Done():
		s.Errorf("Receive has not returned; want nil once its deliveries are settled")
	}
}
