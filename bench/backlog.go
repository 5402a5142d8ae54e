package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	backlogSize  = 300_000
	backlogGoal  = 64.0            // MiB by which the slow consumer may grow meanwhile
	backlogRate  = 10              // messages per second that it handles
	backlogLimit = 2 * time.Minute // for publishing
	lookEvery    = 50 * time.Millisecond
)

// What either end of a backlog does.
const (
	orderLag  = "lag"  // begins to consume slowly, which goes on
	orderPile = "pile" // publishes o.Count messages from o.Concurrency goroutines, or what can be done in o.For
	orderLook = "look" // says what was handled, and by how much this process has grown since it began to consume
)

// backlogFigures are about a process that falls behind, in MiB since before the first message. 0 = there is no /proc.
type backlogFigures struct {
	Highest float64        // RSS, the highest that was seen
	At      waitingFigures // in the end
}

// backlog is one end of a queue: a process that consumes slowly, or one that publishes fast.
type backlog struct {
	client client
	queue  queue

	before  memory
	highest atomic.Int64 // RSS, bytes
	handled atomic.Int64
	stop    context.CancelFunc // nil = it does not consume
	running sync.WaitGroup
	failed  chan error // capacity 1: what consuming returned
}

func startBacklog(ctx context.Context, s setup) (actor, string, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, "", err
	}
	b, _ := brandOf(u.Scheme, s.Brand)
	c, err := b.open(ctx, s.URL)
	if err != nil {
		return nil, "", err
	}
	q := queue{name: s.Queue}
	if err := c.create(ctx, q); err != nil {
		return nil, "", errors.Join(err, c.close(ctx))
	}
	return &backlog{client: c, queue: q, failed: make(chan error, 1)}, "", nil
}

func (b *backlog) do(ctx context.Context, o order) (figures, error) {
	switch o.What {
	case orderLag:
		return figures{}, b.lag(ctx)
	case orderPile:
		return b.pile(ctx, o)
	case orderLook:
		return b.look()
	}
	return figures{}, fmt.Errorf("unknown order %q", o.What)
}

// lag returns once it consumes.
func (b *backlog) lag(ctx context.Context) error {
	ctx, b.stop = context.WithCancel(ctx)
	ready := make(chan struct{})
	tick := time.NewTicker(time.Second / backlogRate) // for all handlers together
	in := intake{ready: func() { close(ready) }, handle: func([]byte) {
		select {
		case <-tick.C:
			b.handled.Add(1)
		case <-ctx.Done():
		}
	}}
	b.running.Go(func() {
		defer tick.Stop()
		b.failed <- b.client.consume(ctx, b.queue, in)
	})
	select {
	case <-ready:
	case err := <-b.failed:
		return fmt.Errorf("the consumer ended while it began: %w", err)
	}
	b.before = usage(true)
	b.running.Go(func() { b.watch(ctx) })
	return nil
}

// watch notes the highest RSS until ctx is done.
func (b *backlog) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		b.highest.Store(max(b.highest.Load(), int64(kilobytes("Rss")*(1<<20))))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// pile publishes until there are as many as ordered or the time is over.
func (b *backlog) pile(ctx context.Context, o order) (figures, error) {
	within, cancel := context.WithTimeout(ctx, o.For)
	defer cancel()
	var next, sent atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range o.Concurrency {
		group.Go(func() error {
			for within.Err() == nil {
				number := int(next.Add(1)) - 1
				if number >= o.Count {
					return nil
				}
				l := letter{number: number}
				if err := b.client.publish(ctx, b.queue, "", l.body()); err != nil {
					return err
				}
				sent.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return figures{Count: int(sent.Load()), Took: time.Since(began)}, err
}

func (b *backlog) look() (figures, error) {
	select {
	case err := <-b.failed:
		return figures{}, fmt.Errorf("the consumer has ended: %w", err)
	default:
	}
	highest := float64(b.highest.Load()) / (1 << 20)
	asIs, after := usage(false), usage(true)
	f := figures{Count: int(b.handled.Load())}
	f.Backlog = backlogFigures{Highest: max(highest, asIs.rss) - b.before.rss, At: waitingFigures{
		Heap: after.heap - b.before.heap, PSS: after.pss - b.before.pss, RSS: after.rss - b.before.rss, Unforced: asIs.pss - b.before.pss,
	}}
	return f, nil
}

func (b *backlog) close(ctx context.Context) error {
	if b.stop != nil {
		b.stop()
	}
	b.running.Wait()
	return b.client.close(ctx)
}

// measureBacklog lets a process that handles backlogRate messages a second fall behind. The broker is in a process of its own
// on each network.
func measureBacklog(ctx context.Context, c config, s site, r *report) (err error) {
	var all []*child
	defer func() { err = errors.Join(err, endAll(all)) }()
	run := func(u setup) (*child, error) {
		u.Name = s.name + " " + u.Name
		p, err := start(ctx, c, u)
		if err == nil {
			all = append(all, p)
		}
		return p, err
	}
	s = s.apart()
	address, name := s.url, newName()
	if s.scheme == embeddedSite {
		broker, err := run(setup{Role: "network", Name: "broker"})
		if err != nil {
			return err
		}
		address = broker.address
	}
	slow, err := run(setup{Role: "backlog", Name: "slow consumer", Brand: ledgered, URL: address, Queue: name})
	if err != nil {
		return err
	}
	fast, err := run(setup{Role: "backlog", Name: "publisher", Brand: ledgered, URL: address, Queue: name})
	if err != nil {
		return err
	}
	if _, err := slow.do(order{What: orderLag}); err != nil {
		return err
	}
	size := backlogSize * c.percent() / 100
	r.progress(s.name)("%d messages for a process that handles %d a second", size, backlogRate)
	sent, err := fast.do(order{What: orderPile, Concurrency: 64, Count: size + int(backlogRate*backlogLimit.Seconds()), For: backlogLimit})
	if err != nil {
		return err
	}
	found, err := slow.do(order{What: orderLook})
	if err != nil {
		return err
	}
	r.backlog("backlog-rss-"+s.name, sent, found)
	return nil
}

// backlog adds the target that a process stays small that falls behind, which shows something only if it does.
func (r *report) backlog(name string, sent, found figures) {
	grown := found.Backlog.At.Heap
	if found.Backlog.Highest > 0 {
		grown = found.Backlog.Highest
	}
	behind := sent.Count - found.Count
	t := target{Name: name, spread: spreadOf([]float64{grown}), Goal: backlogGoal, AtMost: true, OK: grown <= backlogGoal}
	if behind < backlogSize {
		t.OK, t.Why = false, fmt.Sprintf("only %d messages behind, %d were wanted", behind, backlogSize)
	}
	r.Targets = append(r.Targets, t)
	for _, n := range []struct {
		what  string
		value float64
	}{
		{"messages behind", float64(behind)},
		{"messages/s published", sent.perSecond()},
		{"PSS grown by, MiB, before free memory was given back", found.Backlog.At.Unforced},
		{"PSS grown by, MiB", found.Backlog.At.PSS},
		{"HeapInuse+StackInuse grown by, MiB", found.Backlog.At.Heap},
	} {
		r.note(name+": "+n.what, []float64{n.value})
	}
}
