package nats

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// share runs one Receive of a channel with partitions: it has its part of the partitions, as long as the group's other
// members leave it to it. Everything below wake belongs to its loop, which is one goroutine, but for what mu guards.
type share struct {
	b       *Broker
	o       *owners
	route   transport.Route
	channel transport.Channel
	group   string // as keys name it
	stream  string
	from    transport.Position
	window  *window
	take    func(*transport.Delivery)

	wake     chan struct{} // capacity 1
	ready    func()        // nil once called
	prepared bool
	lease    *lease       // by which it is a member
	member   string       // its name; "" = it is none
	known    bool         // the others know it
	revision uint64       // of the member's key
	unsure   map[int]bool // partitions that it may have claimed without knowing
	held     map[int]*tenure
	parts    atomic.Int64 // how many they are
	running  sync.WaitGroup

	mu    sync.Mutex
	ended []*tenure

	preparing sync.Mutex
	created   time.Time // when the stream was; zero = not known; guarded by preparing

	taking sync.Mutex // take is never called twice at a time
}

const untilEvery = 250 * time.Millisecond // how often it is looked whether Until is reached

// run receives until ctx is done, the Broker is closed or Until is reached, and everything that was handed out is
// settled.
func (s *share) run(ctx context.Context) (err error) {
	s.o.enter(s)
	defer s.running.Wait()
	defer s.o.leave(s)
	defer s.abandon()
	closing, done, reconnected := s.b.closing, ctx.Done(), s.b.reconnection()
	var look <-chan time.Time
	if !s.route.Until.IsZero() {
		t := time.NewTicker(untilEvery)
		defer t.Stop()
		look = t.C
	}
	stop := false
	for {
		if err := s.collect(); err != nil {
			return err
		}
		if s.lease != nil && s.o.current() != s.lease { // others may have everything
			s.loseAll()
			s.lease, s.member, s.known = nil, "", false
		}
		var retry <-chan time.Time
		if !stop {
			err := s.balance(ctx)
			switch denied := s.b.denied(s.stream, s.b.names.bucket()); {
			case useless(err):
				return err
			case err != nil && denied != nil:
				return denied
			case err != nil:
				retry = time.After(retryAfter)
			}
		} else if len(s.held) == 0 && s.window.idle(s) {
			return nil
		}
		select {
		case <-s.wake:
		case <-retry:
		case <-reconnected:
			reconnected = s.b.reconnection()
		case <-look:
			stop = stop || s.reached(ctx)
		case <-done:
			done, stop = nil, true
		case <-closing:
			closing, stop = nil, true
		case <-s.b.dead:
			return transport.ErrClosed
		}
		if stop {
			s.resign()
		}
	}
}

// kick wakes the loop.
func (s *share) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// collect forgets the tenures that have ended, and reports why one did, if it was not as wanted.
func (s *share) collect() (err error) {
	s.mu.Lock()
	ended := s.ended
	s.ended = nil
	s.mu.Unlock()
	for _, t := range ended {
		delete(s.held, t.partition)
		err = errors.Join(err, t.err)
	}
	s.parts.Store(int64(len(s.held)))
	return err
}

// balance brings what this share has closer to what it should have. An error that is not useless means: again, soon.
func (s *share) balance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	if !s.prepared {
		if _, err := s.prepare(ctx); err != nil {
			return err
		}
		if err := s.o.begin(ctx); err != nil {
			return err
		}
		s.prepared = true
	}
	r := s.o.look(s.group, s.member, s.channel.Partitions)
	if r.lease == nil || s.lease != nil && r.lease != s.lease {
		return s.b.denied(s.b.names.bucket()) // if nil, there will be a wake-up
	}
	if s.member == "" {
		return s.join(ctx, r.lease)
	}
	i := slices.Index(r.members, s.member)
	if i < 0 && s.known {
		return errRemoved
	}
	if i < 0 {
		return nil
	}
	s.known = true
	if !s.lease.valid() {
		if len(r.members) > 1 {
			s.loseAll()
		}
		return nil
	}
	for _, t := range s.held {
		t.receiver.kick() // it may have waited for the lease
	}
	if err := s.adjust(ctx, r, i); err != nil {
		return err
	}
	if s.ready != nil {
		s.ready()
		s.ready = nil
	}
	return nil
}

// join makes this share a member, for as long as a lease lasts.
func (s *share) join(ctx context.Context, l *lease) error {
	member := l.id + "-" + strconv.FormatInt(s.b.shares.Add(1), 10)
	key := memberKey(s.group, member)
	revision, err := s.o.kv.Create(ctx, key, []byte(s.b.options.Name))
	if err != nil {
		s.o.owe(func(ctx context.Context) error { return s.o.withdraw(ctx, key) })
		return err
	}
	s.lease, s.member, s.revision = l, member, revision
	return nil
}

// adjust gives up what this share has too much, and takes what it lacks and nobody has. It is the i-th member.
func (s *share) adjust(ctx context.Context, r roster, i int) error {
	want, has := quota(s.channel.Partitions, len(r.members), i), 0
	for _, p := range slices.Sorted(maps.Keys(s.held)) {
		if t := s.held[p]; !t.giving() {
			if has++; has > want {
				t.giveUp()
			}
		}
	}
	first := i * s.channel.Partitions / len(r.members) // so that members seldom want the same
	for n := range s.channel.Partitions {
		p := (first + n) % s.channel.Partitions
		if _, vacant := r.vacant[p]; !vacant || has >= want || s.held[p] != nil {
			continue
		}
		if err := s.claim(ctx, p, r.claims[p]); err != nil {
			return err
		}
		if s.held[p] != nil {
			has++
		}
	}
	for p, k := range r.claims { // claimed without knowing, and not wanted by now; or given up, and not heard of yet
		if k.holder == s.member && s.held[p] == nil {
			s.o.release(ownerKey(s.group, p), k.revision)
			delete(s.unsure, p)
		}
	}
	return nil
}

// claim takes a partition unless another is faster.
func (s *share) claim(ctx context.Context, partition int, found claim) error {
	key := ownerKey(s.group, partition)
	revision, err := s.o.kv.Update(ctx, key, []byte(s.member), found.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return nil // there will be a wake-up
	}
	if err != nil {
		s.unsure[partition] = true
		return err
	}
	delete(s.unsure, partition)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &tenure{
		partition: partition, lease: s.lease, fence: revision,
		yield: make(chan struct{}), revoked: make(chan struct{}), cancel: cancel,
	}
	t.receiver = &receiver{
		b: s.b, stream: s.stream, consumer: partitionConsumer(s.channel, s.route.Group, partition),
		wake: make(chan struct{}, 1), until: s.route.Until, own: t, window: s.window, parts: &s.parts, restore: s.prepare,
		take: func(e *entry) {
			s.taking.Lock()
			defer s.taking.Unlock()
			s.take(e.delivery(s.channel))
		},
	}
	t.receiver.sweep = newSweep(s.b, s.channel, t.receiver.consumer, partition)
	s.held[partition] = t
	s.parts.Store(int64(len(s.held)))
	s.running.Go(func() {
		defer cancel()
		s.release(t, t.receiver.run(ctx))
	})
	return nil
}

// release passes on the partition of a tenure whose receiver has ended.
func (s *share) release(t *tenure, err error) {
	if t.end(err) {
		s.o.release(ownerKey(s.group, t.partition), t.fence)
	}
	s.mu.Lock()
	s.ended = append(s.ended, t)
	s.mu.Unlock()
	s.kick()
}

func (s *share) loseAll() {
	for _, t := range s.held {
		t.lose()
	}
}

// resign begins the hand-over of all partitions. Called again, it does nothing.
func (s *share) resign() {
	for _, t := range s.held {
		t.giveUp()
	}
	if s.member != "" {
		key, revision := memberKey(s.group, s.member), s.revision
		s.o.soon(func(ctx context.Context) error { return s.o.remove(ctx, key, revision) })
	}
	for p := range s.unsure {
		key, member := ownerKey(s.group, p), s.member
		s.o.owe(func(ctx context.Context) error { return s.o.disown(ctx, key, member) })
	}
	s.member = ""
	clear(s.unsure)
}

// abandon ends what a share that failed still has.
func (s *share) abandon() {
	s.resign()
	for _, t := range s.held {
		t.revoke(false)
	}
}

// prepare makes the channel's stream and the group's consumers if they are missing.
func (s *share) prepare(ctx context.Context) (*jetstream.StreamInfo, error) {
	info, err := s.b.create(ctx, s.channel)
	if err != nil {
		return nil, err
	}
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.created.Equal(info.Created) {
		return info, nil
	}
	from := s.from
	if !s.created.IsZero() { // a server without its data has a new stream: all of it is new
		from = transport.Position{Start: true}
	}
	there, err := s.b.consumers(ctx, s.stream)
	if err != nil {
		return nil, err
	}
	for p, name := range consumers(s.channel, s.route.Group) {
		if slices.Contains(there, name) {
			continue
		}
		config := groupConfig(name, s.b.names.partitionFilters(s.channel, s.route.Group, p))
		deliverFrom(&config, from)
		_, err := s.b.js.CreateConsumer(ctx, s.stream, config)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerExists) { // another member was faster
			return nil, err
		}
	}
	s.created = info.Created
	return info, nil
}
