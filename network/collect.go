package network

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger/collector"
	"github.com/parley-io/parley/presence"
)

const (
	// collectWait is how long Collect waits for the ledger to be read. A longer one is read on beside it.
	collectWait = 3 * time.Second
	// goodbyeLimit bounds the collector's goodbye at its end.
	goodbyeLimit = 2 * time.Second
)

// Collect runs a collector of a network's ledger in this process: it answers the addresses of package collector on
// the network's own calls, and announces them as an instance of the service "parley" once it has read what the ledger
// holds. It returns then; when that takes longer than three seconds it returns, and the announcement follows. stop
// ends it, waits until its ctx is done, and returns why it has ended by itself, if it has.
//
// Open does this on embedded:// and mem://, and elsewhere with [WithCollector]. Several collectors of one network do no harm.
func Collect(ctx context.Context, n *parley.Network) (stop func(context.Context) error, err error) {
	return gather(ctx, n, newGathering(nil))
}

// gathering is how far a collector is.
type gathering struct {
	caughtUp chan struct{} // closed once it has read what the ledger held when it began
	ended    chan struct{} // closed when it has ended
	tell     func(error)   // why it has ended by itself; nil = nobody
}

func newGathering(tell func(error)) *gathering {
	return &gathering{caughtUp: make(chan struct{}), ended: make(chan struct{}), tell: tell}
}

// missing says what a collector lacks; "" = nothing.
func (g *gathering) missing() string {
	select {
	case <-g.ended:
		return "ended"
	default:
	}
	select {
	case <-g.caughtUp:
		return ""
	default:
		return "reading the ledger"
	}
}

// gather is Collect, with g telling how far it is.
func gather(ctx context.Context, n *parley.Network, g *gathering) (stop func(context.Context) error, err error) {
	if n.Calls == nil || n.Messages == nil || n.Directory == nil {
		return nil, fmt.Errorf("collect the ledger of %s: this network lacks calls, messages or a directory", n.Name)
	}
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	why := func() error {
		if err := context.Cause(life); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("collector of %s: %w", n.Name, err)
		}
		return nil
	}
	stop = func(ctx context.Context) error {
		cancel(nil)
		select {
		case <-g.ended:
			return why()
		case <-ctx.Done():
			return fmt.Errorf("collector of %s: still running: %w", n.Name, context.Cause(ctx))
		}
	}
	announced := make(chan struct{})
	go func() { // ends with life, and stop waits for it
		defer close(g.ended)
		collect(life, cancel, n, g, announced)
		if err := why(); err != nil && g.tell != nil {
			g.tell(err)
		}
	}()
	limit := time.NewTimer(collectWait)
	defer limit.Stop()
	select {
	case <-announced:
	case <-limit.C:
	case <-g.ended:
		return nil, stop(ctx)
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), stop(context.WithoutCancel(ctx)))
	}
	return stop, nil
}

// collect owns everything that a collector needs until ctx is done, or something fails for good.
func collect(ctx context.Context, fail context.CancelCauseFunc, n *parley.Network, g *gathering, announced chan<- struct{}) {
	c := collector.New(n.Messages)
	i := parley.Instance{Service: "parley", ID: "parley-" + uuid.NewString()[24:], Since: time.Now()}
	for _, e := range c.Endpoints() {
		i.Answers = append(i.Answers, e.Address)
	}
	peer := make(chan string, 1)
	var parts sync.WaitGroup
	part := func(f func() error) {
		parts.Go(func() {
			if err := f(); err != nil {
				fail(err)
			}
		})
	}
	part(func() error { return c.Run(ctx, func() { close(g.caughtUp) }) })
	part(func() error { return n.Calls.Answer(ctx, c.Endpoints(), func(p string) { peer <- p }) })
	part(func() error {
		select {
		case <-g.caughtUp:
		case <-ctx.Done():
			return nil
		}
		select {
		case i.Peer = <-peer:
			return announceCollector(ctx, n, i, announced)
		case <-ctx.Done():
			return nil
		}
	})
	part(func() error { tellWhoIsGone(ctx, n, c); return nil })
	parts.Wait()
}

// announceCollector announces that a collector answers, until ctx is done.
func announceCollector(ctx context.Context, n *parley.Network, i parley.Instance, announced chan<- struct{}) error {
	leave, err := n.Directory.Announce(ctx, i)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	close(announced)
	<-ctx.Done()
	goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeLimit)
	defer cancel()
	_ = leave(goodbye) // who is not told finds out
	return nil
}

// tellWhoIsGone tells the collector of instances that are there no more, until ctx is done or nothing new will be known.
func tellWhoIsGone(ctx context.Context, n *parley.Network, c *collector.Collector) {
	p, ok := n.Directory.(*presence.Presence)
	if !ok {
		return
	}
	there := make(map[string]bool)
	for p.Err() == nil {
		changed := p.Changed()
		now := make(map[string]bool)
		for _, i := range p.Instances() {
			now[i.ID] = true
		}
		for id := range there {
			if !now[id] {
				c.Gone(id, time.Now())
			}
		}
		there = now
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
