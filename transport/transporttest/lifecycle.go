package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/parley-io/parley/transport"
)

func orderlyEnd(ctx context.Context, s *Scene, site Site) {
	log, b := newAccount(), site.Connect(ctx, s)
	c := s.channel(ctx, b, transport.Queue, 0)
	const credit = 8
	log.mustSend(ctx, s, b, messages(c, "m", 1, 5*credit)...)
	r, held := s.hold(ctx, site.Connect(ctx, s), c, credit)
	r.cancel()
	s.still(r)
	for _, d := range held.all(ctx, credit) {
		log.take("")(d)
	}
	r.wait(ctx, s)
	if n := len(held.deliveries); n > 0 {
		s.Errorf("Receive took %d deliveries after its context was done; want none", n)
	}

	// A handler that hangs: its connection is closed, and the message goes elsewhere.
	hung := site.Connect(ctx, s)
	stuck, never := s.hold(ctx, hung, c, 3)
	lost := never.all(ctx, 3)
	s.close(ctx, hung, 500*time.Millisecond)
	select {
	case <-stuck.ended:
	case <-ctx.Done():
		s.Fatalf("Receive still runs after Close; want Close to end it")
	}
	log.drain(ctx, s, b, c)
	log.verify(s, "", faults{Unordered: true})
	for _, d := range lost {
		d.Settle(transport.Done) // too late, and harmless
	}
	s.closed(ctx, hung, c)
}

// holder keeps deliveries without settling them.
type holder struct{ deliveries chan *transport.Delivery }

// hold receives until credit is used up.
func (s *Scene) hold(ctx context.Context, b transport.Broker, c transport.Channel, credit int) (*receiver, holder) {
	h := holder{make(chan *transport.Delivery, 1000)}
	r := s.receive(ctx, b, transport.Route{Channel: c, Credit: transport.NewCredit(credit)}, func(d *transport.Delivery) { h.deliveries <- d })
	for ctx.Err() == nil && len(h.deliveries) < credit {
		time.Sleep(time.Millisecond)
	}
	if got := len(h.deliveries); got != credit {
		s.Fatalf("got %d deliveries unsettled at once; want %d, the credit", got, credit)
	}
	return r, h
}

func (h holder) all(ctx context.Context, n int) (all []*transport.Delivery) {
	for len(all) < n && ctx.Err() == nil {
		all = append(all, <-h.deliveries)
	}
	return all
}

// still gives a Receive that must not end yet the time to do so.
func (s *Scene) still(r *receiver) {
	select {
	case <-r.ended:
		s.Errorf("Receive returned %v while deliveries were unsettled; want it to wait for them", r.err)
	case <-time.After(50 * time.Millisecond):
	}
}

// close wants Close to return when its context is over, give or take what it needs to free.
func (s *Scene) close(ctx context.Context, b transport.Broker, patience time.Duration) {
	began := time.Now()
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = b.Close(short) // it may say what it had to leave
	if took := time.Since(began); took > patience+5*time.Second {
		s.Errorf("Close returned after %v; want soon after its context was done, after %v", took, patience)
	}
}

// closed wants every method of a closed broker to say so.
func (s *Scene) closed(ctx context.Context, b transport.Broker, c transport.Channel) {
	if err := b.Close(ctx); err != nil {
		s.Errorf("the second Close = %v; want nil", err)
	}
	e := message(c, "closed", "k", 0)
	if r := b.Send(ctx, []*transport.Envelope{e}); len(r) != 1 || !errors.Is(r[0].Err, transport.ErrClosed) || !errors.Is(r[0].Err, transport.ErrNotSent) {
		s.Errorf("Send on a closed broker = %v; want ErrClosed and ErrNotSent", r)
	}
	if err := b.Receive(ctx, transport.Route{Channel: c}, func(*transport.Delivery) {}); !errors.Is(err, transport.ErrClosed) {
		s.Errorf("Receive on a closed broker = %v; want ErrClosed", err)
	}
	if err := b.Declare(ctx, []transport.Channel{c}); !errors.Is(err, transport.ErrClosed) {
		s.Errorf("Declare on a closed broker = %v; want ErrClosed", err)
	}
}

func nothingLeaks(ctx context.Context, s *Scene, site Site) {
	address := s.Address()
	s.leaks(ctx, s.Count(6, 100), func(ctx context.Context, i int) {
		b, err := site.Open(ctx)
		if err != nil {
			s.Fatalf("connecting for the %d. time: %v", i+1, err)
		}
		log := newAccount()
		c := transport.Channel{Address: address, Pattern: transport.Queue, Partitions: 2}
		s.declare(ctx, b, c)
		log.mustSend(ctx, s, b, messages(c, fmt.Sprintf("m%d", i), 2, 4)...)
		log.drain(ctx, s, b, c)
		log.verify(s, "", faults{})
		if err := b.Close(ctx); err != nil {
			s.Errorf("Close = %v; want nil, as nothing was going on", err)
		}
	})
}

// leaks does something n times and wants nothing left of it: no goroutine that it started, and fewer new file
// descriptors than repetitions. Goroutines inherit the label of those that start them, so that others do not count.
func (s *Scene) leaks(ctx context.Context, n int, do func(ctx context.Context, i int)) {
	const label = "transporttest"
	mark := s.Address()
	before := descriptors()
	pprof.Do(ctx, pprof.Labels(label, mark), func(ctx context.Context) {
		for i := range n {
			do(ctx, i)
		}
	})
	var left []string
	grown := 0
	for range 500 {
		left, grown = labelled(mark), descriptors()-before
		if len(left) == 0 && grown < n {
			return
		}
		time.Sleep(10 * time.Millisecond) // the end of a goroutine on the other side of a connection has no signal
	}
	if len(left) > 0 {
		s.Errorf("got goroutines that outlive Close; want none:\n%s", strings.Join(left, "\n\n"))
	}
	if grown >= n {
		s.Errorf("got %d more open file descriptors after %d times; want none", grown, n)
	}
}

// labelled are the stacks of goroutines that carry a label.
func labelled(mark string) (stacks []string) {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1) // a buffer never fails
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, mark) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// descriptors is how many files this process has open, or 0 where the system does not say.
func descriptors() int {
	open, _ := os.ReadDir("/proc/self/fd")
	return len(open)
}
