package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/parley-io/parley/transport"
)

const (
	openLimit   = 5 * time.Second
	readerIdle  = time.Minute // after which the server removes the consumer of a reader that was killed
	pollLimit   = 250 * time.Millisecond
	maxRetire   = 20      // attempts, pollLimit and retryAfter apart
	maxRecover  = 1 << 20 // sequences between the oldest unsettled and the newest delivery
	maxRequests = 4096    // waiting ones of one group
)

// open makes everything that the receiver needs at the server, for the first time or after it was lost. An error means
// that going on is useless; after any other failure r.retry is set.
func (r *receiver) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	r.retry, r.asked = nil, 0
	err := r.tryOpen(ctx)
	switch {
	case err == nil:
		r.look = true
		r.kick()
	case useless(err):
		return err
	case ctx.Err() != nil && r.b.denied(r.stream) != nil:
		return r.b.denied(r.stream)
	default:
		r.retry = time.After(retryAfter)
	}
	return nil
}

func (r *receiver) tryOpen(ctx context.Context) error {
	info, err := r.restore(ctx)
	if err != nil {
		return err
	}
	if r.opened && !r.created.Equal(info.Created) {
		r.begin()
	}
	r.created = info.Created
	r.sweep.begin(info)
	switch {
	case r.own != nil:
		err = r.openPartition(ctx)
	case r.reader:
		err = r.openReader(ctx)
	default:
		err = r.openGroup(ctx)
	}
	r.opened = r.opened || err == nil
	return err
}

// begin forgets what was of a stream that is gone: a server without its data has a new one, in which the old sequences
// are those of other messages. All of the new one is new.
func (r *receiver) begin() {
	r.from, r.first, r.last, r.spoken, r.opened = transport.Position{Start: true}, 0, 0, "", false
	r.waiting, r.unwritten = nil, nil
	clear(r.hand)
}

// openGroup finds or makes the group's consumer and brings back what was on the way to a receiver that is gone, or over
// a connection that is lost.
func (r *receiver) openGroup(ctx context.Context) error {
	if err := r.retire(ctx); err != nil {
		return err
	}
	c, err := r.b.js.Consumer(ctx, r.stream, r.consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if r.opened {
			return errRemoved
		}
		c, err = r.create(ctx)
	}
	if err != nil {
		return err
	}
	info, err := c.Info(ctx) // before alone: who has a delivery by now is heard there
	if err != nil {
		return err
	}
	r.sweep.found(info.AckFloor.Stream)
	alone := info.NumAckPending == 0 || r.alone(ctx)
	if err := r.subscribe(); err != nil {
		return err
	}
	if err := r.join(); err != nil {
		return err
	}
	if alone {
		return r.recover(info)
	}
	return nil
}

// retire gives the inbox up, so that what was asked for before comes to nobody. A connection that was lost may still
// stand at the server and swallow what is delivered: then it is waited for, but not for ever.
func (r *receiver) retire(ctx context.Context) error {
	if r.sub == nil {
		return nil
	}
	_ = r.sub.Unsubscribe() // closed already is fine
	if r.retired++; r.retired < maxRetire && !r.b.nobodyAt(ctx, r.sub.Subject) {
		return errors.New("the server has not noticed yet that the last connection is lost")
	}
	r.sub, r.retired = nil, 0
	return nil
}

// create makes the group's consumer.
func (r *receiver) create(ctx context.Context) (jetstream.Consumer, error) {
	config := groupConfig(r.consumer, r.filters)
	deliverFrom(&config, r.from)
	c, err := r.b.js.CreateConsumer(ctx, r.stream, config)
	if errors.Is(err, jetstream.ErrConsumerExists) { // another receiver was faster
		return r.b.js.Consumer(ctx, r.stream, r.consumer)
	}
	return c, err
}

// groupConfig is that of a durable consumer.
func groupConfig(name string, filters []string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: AckWait,
		MaxDeliver: -1, MaxAckPending: MaxCredit, MaxWaiting: maxRequests, FilterSubjects: filters,
	}
}

var (
	errNotOwner = errors.New("another may have the partition by now")
	errRemoved  = fmt.Errorf("the group was removed: %w", transport.ErrNotFound)
)

// openPartition begins to get the deliveries of a partition. If some are out, the consumer begins again behind its
// acknowledgement floor, also if they were given back: a server that starts again has forgotten that, and would deliver
// newer ones first. What comes to this receiver a second time is known here.
func (r *receiver) openPartition(ctx context.Context) error {
	if err := r.retire(ctx); err != nil {
		return err
	}
	if !r.own.valid() {
		return errNotOwner
	}
	c, err := r.b.js.Consumer(ctx, r.stream, r.consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return errRemoved
	}
	if err != nil {
		return err
	}
	info := c.CachedInfo()
	r.sweep.found(info.AckFloor.Stream)
	r.next = info.Delivered.Consumer + 1
	if info.AckFloor.Stream > r.last { // what lies between was another's
		r.first = 0
	}
	if info.NumAckPending > 0 {
		r.spoken = r.answerTo(info.AckFloor.Stream+1, info)
		if !r.heardOut() { // the reset would overtake what the server was told, and make it forget that
			return errors.New("the server has not taken in yet what it was told")
		}
		if !r.own.valid() {
			return errNotOwner
		}
		if _, err := r.b.js.ResetConsumer(ctx, r.stream, r.consumer); err != nil {
			return err
		}
		r.next = 1
	}
	return r.subscribe()
}

// openReader makes a consumer that goes on where the last one ended.
func (r *receiver) openReader(ctx context.Context) error {
	if r.sub != nil {
		_ = r.sub.Unsubscribe()                              // closed already is fine
		_ = r.b.js.DeleteConsumer(ctx, r.stream, r.consumer) // it may be gone; else it ends by itself
	}
	r.consumer = readerStart + nuid.Next()
	config := jetstream.ConsumerConfig{
		Name: r.consumer, AckPolicy: jetstream.AckNonePolicy, FilterSubjects: r.filters,
		InactiveThreshold: readerIdle, MemoryStorage: true, MaxWaiting: maxRequests,
	}
	if r.opened {
		deliverAfter(&config, r.last)
	} else {
		deliverFrom(&config, r.from)
	}
	c, err := r.b.js.CreateConsumer(ctx, r.stream, config)
	if err != nil {
		return err
	}
	if !r.opened { // where "now" was, should the consumer be lost before the first message
		r.last = c.CachedInfo().Delivered.Stream
	}
	return r.subscribe()
}

// subscribe listens for what the server is asked for. What comes after the connection was lost does not count: what
// came before it on the lost connection may be missing.
func (r *receiver) subscribe() error {
	epoch := r.b.epoch.Load()
	sub, err := r.b.nc.Subscribe(natsio.NewInbox(), func(m *natsio.Msg) {
		if r.b.epoch.Load() != epoch {
			return
		}
		r.mu.Lock()
		r.arrived = append(r.arrived, m)
		r.mu.Unlock()
		r.kick()
	})
	if err != nil {
		return err
	}
	r.sub = sub
	return sub.SetPendingLimits(-1, -1) // credit is the limit
}

// join tells others of the group, when they ask, that this receiver lives.
func (r *receiver) join() error {
	if r.live != nil {
		return nil
	}
	answer := []byte(r.b.id)
	live, err := r.b.nc.Subscribe(r.b.names.live(r.stream, r.consumer), func(m *natsio.Msg) { _ = m.Respond(answer) })
	if err != nil {
		return err
	}
	r.live = live
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	r.b.receivers[r.stream+" "+r.consumer]++
	return nil
}

// leave is the reverse of join.
func (b *Broker) leave(r *receiver) {
	if r.live == nil {
		return
	}
	_ = r.live.Unsubscribe() // an error means that it is closed
	r.live = nil
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receivers[r.stream+" "+r.consumer]--
}

// alone reports whether no other receiver of the group is alive: nobody answers, or only this one.
func (r *receiver) alone(ctx context.Context) bool {
	r.b.mu.Lock()
	here := r.b.receivers[r.stream+" "+r.consumer]
	r.b.mu.Unlock()
	if r.live == nil && here > 0 || here > 1 {
		return false
	}
	subject := r.b.names.live(r.stream, r.consumer)
	for range 2 { // a process that has just died may be heard of at first
		listens, others := r.b.poll(ctx, subject)
		if others {
			return false
		}
		if !listens || r.live != nil {
			return true
		}
	}
	return false // somebody is there and does not answer
}

// nobodyAt reports whether no connection listens to a subject.
func (b *Broker) nobodyAt(ctx context.Context, subject string) bool {
	listens, _ := b.poll(ctx, subject)
	return !listens
}

// poll asks who listens to a subject: whether anybody does, which the server says at once if not, and whether another
// Broker answers within pollLimit.
func (b *Broker) poll(ctx context.Context, subject string) (listens, others bool) {
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	sub, err := b.nc.SubscribeSync(natsio.NewInbox())
	if err != nil {
		return true, true
	}
	defer func() { _ = sub.Unsubscribe() }() // closed with the connection is fine
	if b.nc.PublishRequest(subject, sub.Subject, nil) != nil {
		return true, true
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, natsio.ErrNoResponders):
			return false, false
		case err != nil:
			return true, false
		case string(m.Data) != b.id:
			return true, true
		}
	}
}

// recover makes the server deliver again, at once and in order, what it has delivered and what is not in hand: it was
// on the way when a connection broke or a process died. It refuses deliveries that this receiver never saw, by the
// subjects that their acknowledgements go to; the server ignores those that were settled. Resetting the consumer would
// bring back also what was handled behind the oldest unsettled one.
//
// The server itself queues again what it could not write to the lost connection, in whatever order. So it is heard out
// first, then everything is taken from its queue, by a delay, and only then put there in order.
func (r *receiver) recover(info *jetstream.ConsumerInfo) error {
	first, last := info.AckFloor.Stream+1, info.Delivered.Stream
	if info.NumAckPending == 0 || last-first > maxRecover {
		return nil // after AckWait
	}
	r.spoken = r.answerTo(first, info)
	r.heardOut()
	for _, what := range []string{returnedAfter(AckWait), returned} {
		for seq := first; seq <= last; seq++ {
			if r.hand[seq] != nil || r.isUnwritten(seq) {
				continue
			}
			if err := r.b.nc.Publish(r.answerTo(seq, info), []byte(what)); err != nil {
				return err
			}
		}
	}
	r.heardOut() // before more is asked for
	return nil
}

// answerTo is the subject on which the server hears about the delivery of a sequence.
func (r *receiver) answerTo(sequence uint64, info *jetstream.ConsumerInfo) string {
	return fmt.Sprintf("$JS.ACK.%s.%s.1.%d.%d.0.0", r.stream, r.consumer, sequence, info.Delivered.Consumer)
}

func (r *receiver) isUnwritten(sequence uint64) bool {
	return slices.ContainsFunc(r.unwritten, func(e *entry) bool { return e.sequence() == sequence })
}

// useless reports whether trying again cannot help.
func useless(err error) bool {
	if errors.Is(err, transport.ErrRefused) || errors.Is(err, transport.ErrNotFound) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code == 400
}
