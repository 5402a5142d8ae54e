package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// messenger measures one client of one network, with a new queue each time.
type messenger struct {
	client client
	prefix string // of queues, unlike that of any other messenger
	made   int
	began  time.Time          // letters tell the time since
	rates  map[string]float64 // of what the queue is filled for beforehand, when it was measured last
}

// What a messenger can measure.
const (
	orderPublish = "publish" // from so many goroutines, confirmed one by one; nobody consumes
	orderConsume = "consume" // what is in the queue, with a handler that does nothing
	orderInOrder = "ordered" // the same, with a handler of a millisecond and order by key
	orderThrough = "through" // publish to handled, from so many goroutines
	orderPaced   = "paced"   // publish to handled at an even pace
)

const (
	handlerTakes   = time.Millisecond
	orderedWorkers = 64
	fillers        = 64     // goroutines that fill a queue
	firstRate      = 5_000  // messages per second for which it is filled as long as nothing is known
	mostRate       = 50_000 // and at the most: what is emptied faster is measured for a shorter time
	consumeLimit   = time.Minute
	// warmUp messages, side by side, come before what is measured: a new topic of Kafka answers late at first, and a
	// client may say that it consumes before it does.
	warmUp = 64
)

func startMessenger(ctx context.Context, s setup) (actor, string, error) {
	if s.URL == "" {
		s.URL = embeddedURL(s.Dir)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, "", err
	}
	all := brands(u.Scheme)
	i := slices.IndexFunc(all, func(b brand) bool { return b.name == s.Brand })
	if i < 0 {
		return nil, "", fmt.Errorf("no %q on %s", s.Brand, u.Redacted())
	}
	if s.Brand != parleys {
		u.RawQuery = "" // has parameters of ours
	}
	c, err := all[i].open(ctx, u.String())
	if err != nil {
		return nil, "", err
	}
	return &messenger{
		client: c, prefix: "bench-" + strings.ToLower(rand.Text()[:8]), began: time.Now(), rates: make(map[string]float64),
	}, "", nil
}

func (m *messenger) do(ctx context.Context, o order) (f figures, err error) {
	m.made++
	q := queue{fmt.Sprintf("%s-%d", m.prefix, m.made), o.What == orderInOrder}
	if err := m.client.create(ctx, q); err != nil {
		return f, err
	}
	switch o.What {
	case orderPublish:
		f, err = m.publish(ctx, o, q)
	case orderConsume, orderInOrder:
		f, err = m.empty(ctx, o, q)
	case orderThrough, orderPaced:
		f, err = m.through(ctx, o, q)
	default:
		err = fmt.Errorf("unknown order %q", o.What)
	}
	if err == nil && (f.Count < 1 || f.Took <= 0) {
		err = fmt.Errorf("%v is too short to measure anything", o.For)
	}
	return f, errors.Join(err, m.client.remove(ctx, q))
}

func (m *messenger) close(ctx context.Context) error { return m.client.close(ctx) }

func (m *messenger) publish(ctx context.Context, o order, q queue) (figures, error) {
	if err := m.fill(ctx, q, warmUp); err != nil {
		return figures{}, err
	}
	return m.hammer(ctx, o, q)
}

// empty fills the queue with about as much as can be handled in the time of the order, and measures how it is emptied.
func (m *messenger) empty(ctx context.Context, o order, q queue) (figures, error) {
	rate := cmp.Or(m.rates[o.What], firstRate)
	n := max(letterKeys, int(min(rate, mostRate)*o.For.Seconds()))
	before, err := cpuTime()
	if err != nil {
		return figures{}, err
	}
	if err := m.fill(ctx, q, n); err != nil {
		return figures{}, err
	}
	after, err := cpuTime()
	if err != nil {
		return figures{}, err
	}
	var b book
	in := intake{ready: func() { b.begin(n / 2) }, handle: func(body []byte) {
		if q.ordered {
			time.Sleep(handlerTakes)
		}
		b.note(m.now(), body)
	}}
	if q.ordered {
		in.workers = orderedWorkers
	}
	err = m.whileConsuming(ctx, q, in, func(ctx context.Context) error { return b.wait(ctx, n) })
	f := b.figures()
	f.P50, f.P99 = 0, 0 // how long it lay in the queue
	f.Aside = after - before
	m.rates[o.What] = f.perSecond()
	if err == nil && q.ordered && b.misplaced > 0 {
		err = fmt.Errorf("%d of %d messages were handled out of the order of their key", b.misplaced, n)
	}
	return f, err
}

// fill publishes n messages, those of a key one after the other.
func (m *messenger) fill(ctx context.Context, q queue, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	for filler := range fillers {
		group.Go(func() error {
			for number := range n {
				if number%letterKeys%fillers != filler {
					continue
				}
				if err := m.send(ctx, q, number); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// through measures from before a message is published until it is handled.
func (m *messenger) through(ctx context.Context, o order, q queue) (figures, error) {
	var b book
	in := intake{ready: func() {}, handle: func(body []byte) { b.note(m.now(), body) }}
	err := m.whileConsuming(ctx, q, in, func(ctx context.Context) error {
		if err := m.fill(ctx, q, warmUp); err != nil {
			return err
		}
		if err := b.wait(ctx, warmUp); err != nil {
			return err
		}
		b.begin(warmUp)
		sent, err := m.sendFor(ctx, o, q)
		if err != nil {
			return err
		}
		return b.wait(ctx, warmUp+sent)
	})
	return b.figures(), err
}

// sendFor sends messages from number warmUp on.
func (m *messenger) sendFor(ctx context.Context, o order, q queue) (sent int, err error) {
	if o.Rate > 0 {
		return pace(ctx, o, func(ctx context.Context, number int) error { return m.send(ctx, q, warmUp+number) })
	}
	f, err := m.hammer(ctx, o, q)
	return f.Count, err
}

// hammer sends messages from number warmUp on, from so many goroutines.
func (m *messenger) hammer(ctx context.Context, o order, q queue) (figures, error) {
	var sent atomic.Int64
	return hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		return m.send(ctx, q, warmUp+int(sent.Add(1))-1)
	})
}

func (m *messenger) send(ctx context.Context, q queue, number int) error {
	l := letter{number, m.now()}
	return m.client.publish(ctx, q, l.key(), l.body())
}

// whileConsuming consumes until during returns.
func (m *messenger) whileConsuming(ctx context.Context, q queue, in intake, during func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, consumeLimit, fmt.Errorf("not done within %v", consumeLimit))
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.client.consume(ctx, q, in) })
	group.Go(func() error {
		defer cancel()
		return during(ctx)
	})
	return group.Wait()
}

func (m *messenger) now() time.Duration { return time.Since(m.began) }
