package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
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
	many   map[int][]queue    // where a load is spread over so many: the same ones each time, which stay
}

// load is where the messages of an order go.
type load struct {
	queues []queue
	keys   int
	warmUp int // messages, side by side, that come before what is measured
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
	orderedWorkers = 256    // 64 that sleep for a millisecond do about 35,000 a second
	fillers        = 64     // goroutines that fill a queue
	firstRate      = 5_000  // messages per second for which it is filled as long as nothing is known
	mostRate       = 50_000 // and at the most: what is emptied faster is measured for a shorter time
	consumeLimit   = time.Minute
	// warmUp messages come before what is measured, or one for each queue: a new topic of Kafka answers late at first, and
	// a client may say that it consumes before it does.
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
	b, ok := brandOf(u.Scheme, s.Brand)
	if !ok {
		return nil, "", fmt.Errorf("no %q on %s", s.Brand, u.Redacted())
	}
	if b.kind.theirs() {
		u.RawQuery = "" // has parameters of ours
	}
	c, err := b.open(ctx, u.String())
	if err != nil {
		return nil, "", err
	}
	m := &messenger{
		client: c, prefix: newName(), began: time.Now(), rates: make(map[string]float64), many: make(map[int][]queue),
	}
	if c, ok := c.(*contractClient); ok {
		return accountant{m, c}, "", nil
	}
	return m, "", nil
}

// newName is one that no other process has.
func newName() string { return "bench-" + strings.ToLower(rand.Text()[:8]) }

func (m *messenger) do(ctx context.Context, o order) (f figures, err error) {
	l, err := m.prepare(ctx, o)
	if err != nil {
		return f, err
	}
	switch o.What {
	case orderPublish:
		f, err = m.publish(ctx, o, l)
	case orderConsume, orderInOrder:
		f, err = m.empty(ctx, o, l)
	case orderThrough, orderPaced:
		f, err = m.through(ctx, o, l)
	default:
		err = fmt.Errorf("unknown order %q", o.What)
	}
	if err == nil && (f.Count < 1 || f.Took <= 0) {
		err = fmt.Errorf("%v is too short to measure anything", o.For)
	}
	if o.Queues == 0 {
		err = errors.Join(err, m.client.remove(ctx, l.queues[0]))
	}
	return f, err
}

func (m *messenger) close(ctx context.Context) error { return m.client.close(ctx) }

// prepare makes the queues of an order.
func (m *messenger) prepare(ctx context.Context, o order) (load, error) {
	l := load{keys: cmp.Or(o.Keys, letterKeys), warmUp: max(warmUp, o.Queues)}
	if l.queues = m.many[o.Queues]; l.queues != nil {
		return l, nil
	}
	for range max(1, o.Queues) {
		m.made++
		q := queue{fmt.Sprintf("%s-%d", m.prefix, m.made), o.What == orderInOrder || o.Keys > 0}
		if err := m.client.create(ctx, q); err != nil {
			return l, err
		}
		l.queues = append(l.queues, q)
	}
	if o.Queues > 0 {
		m.many[o.Queues] = l.queues
	}
	return l, nil
}

func (m *messenger) publish(ctx context.Context, o order, l load) (figures, error) {
	if err := m.fill(ctx, l, l.warmUp); err != nil {
		return figures{}, err
	}
	return m.hammer(ctx, o, l)
}

// empty fills the queue with about as much as can be handled in the time of the order, and measures how it is emptied.
func (m *messenger) empty(ctx context.Context, o order, l load) (figures, error) {
	rate := cmp.Or(m.rates[o.What], firstRate)
	n := max(letterKeys, int(min(rate, mostRate)*o.For.Seconds()))
	if err := m.fill(ctx, l, n); err != nil {
		return figures{}, err
	}
	var b book
	ordered := o.What == orderInOrder
	in := intake{ready: func() { b.begin(n / 2) }, handle: func(body []byte) {
		if ordered {
			time.Sleep(handlerTakes)
		}
		b.note(m.now(), body)
	}}
	if ordered {
		in.workers = orderedWorkers
	}
	var f figures
	before, err := cpuTime()
	if err != nil {
		return f, err
	}
	err = m.whileConsuming(ctx, o, l, in, func(ctx context.Context) error {
		if err := b.wait(ctx, n); err != nil {
			return err
		}
		after, err := cpuTime()
		f = b.figures()
		f.P50, f.P99 = 0, 0 // how long it lay in the queue
		f.CPU = after - before
		return err
	})
	m.rates[o.What] = f.perSecond()
	if err == nil && ordered && b.misplaced > 0 {
		err = fmt.Errorf("%d of %d messages were handled out of the order of their key", b.misplaced, n)
	}
	return f, err
}

// fill publishes n messages, those of a key one after the other.
func (m *messenger) fill(ctx context.Context, l load, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	for filler := range fillers {
		group.Go(func() error {
			for number := range n {
				if number%letterKeys%fillers != filler {
					continue
				}
				if err := m.send(ctx, l, number); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// through measures from before a message is published until it is handled.
func (m *messenger) through(ctx context.Context, o order, l load) (f figures, err error) {
	b := book{from: m.now()}
	in := intake{ready: func() {}, handle: func(body []byte) { b.note(m.now(), body) }}
	err = m.whileConsuming(ctx, o, l, in, func(ctx context.Context) error {
		if err := errors.Join(m.fill(ctx, l, l.warmUp), b.wait(ctx, l.warmUp)); err != nil {
			return err
		}
		before, err := cpuTime()
		if err != nil {
			return err
		}
		b.begin(l.warmUp)
		sent, err := m.sendFor(ctx, o, l)
		if err != nil {
			return err
		}
		if err := b.wait(ctx, l.warmUp+sent); err != nil {
			return err
		}
		after, err := cpuTime()
		f = b.figures()
		f.CPU = after - before
		return err
	})
	return f, err
}

// sendFor sends messages with the numbers after those of the warm-up.
func (m *messenger) sendFor(ctx context.Context, o order, l load) (sent int, err error) {
	if o.Rate > 0 {
		return pace(ctx, o, func(ctx context.Context, number int) error { return m.send(ctx, l, l.warmUp+number) })
	}
	f, err := m.hammer(ctx, o, l)
	return f.Count, err
}

// hammer sends messages with the numbers after those of the warm-up, from so many goroutines.
func (m *messenger) hammer(ctx context.Context, o order, l load) (figures, error) {
	var sent atomic.Int64
	return hammer(ctx, o.Concurrency, o.For, func(ctx context.Context) error {
		return m.send(ctx, l, l.warmUp+int(sent.Add(1))-1)
	})
}

func (m *messenger) send(ctx context.Context, l load, number int) error {
	q, w := l.queues[number%len(l.queues)], letter{number, m.now()}
	return m.client.publish(ctx, q, w.key(l.keys), w.body())
}

// whileConsuming consumes until during returns.
func (m *messenger) whileConsuming(ctx context.Context, o order, l load, in intake, during func(context.Context) error) error {
	limit := o.For + consumeLimit
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit))
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, q := range l.queues {
		group.Go(func() error { return m.client.consume(ctx, q, in) })
	}
	group.Go(func() error {
		defer cancel()
		return during(ctx)
	})
	return group.Wait()
}

func (m *messenger) now() time.Duration { return time.Since(m.began) }
