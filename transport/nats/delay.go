package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// What a delayed message carries for the mover, which may run in a process that does not know its channel.
const (
	headerSubject = "Parley-Subject" // where it goes when it is due
	headerStream  = "Parley-Stream"  // which stream that is
	headerID      = "Parley-Id"      // its Nats-Msg-Id there
)

const (
	schedule       = "Nats-Schedule"
	scheduleTarget = "Nats-Schedule-Target"
	moverCredit    = 256
	moverPause     = time.Second // before what could not be moved is tried again
)

// postpone makes m a schedule on the stream of delayed messages, and returns the lane to there. Each (ID, Copy, Group)
// has a subject of its own, on which a repetition replaces the first: no Nats-Msg-Id, so that what was cancelled may
// be sent again at once.
func (b *Broker) postpone(target *lane, e *transport.Envelope, m *message, now time.Time) (*lane, error) {
	if e.NotBefore.Sub(now) > MaxDelay {
		return nil, fmt.Errorf("%w: not before %v: want at most %v from now", transport.ErrRefused, e.NotBefore, MaxDelay)
	}
	m.Header[headerSubject] = []string{m.Subject}
	m.Header[headerStream] = []string{target.stream}
	m.Header[headerID] = m.Header[natsio.MsgIdHdr]
	delete(m.Header, natsio.MsgIdHdr)
	// In nanoseconds: the client library's own way cuts seconds off, and would fire too early.
	m.Header[schedule] = []string{"@at " + e.NotBefore.UTC().Format(time.RFC3339Nano)}
	m.Header[scheduleTarget] = []string{b.names.due()}
	m.Subject = b.names.delayed(e)
	return b.carrier(b.names.delayStream()), nil
}

// carrier is the lane to a stream, declared or not.
func (b *Broker) carrier(stream string) *lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes[stream]
	if l == nil {
		l = newLane(b, stream, transport.Channel{})
		l.single = stream == b.names.delayStream()
		b.lanes[stream] = l
	}
	return l
}

// startMover makes the stream of delayed messages, and starts what moves those that are due, if it does not run.
func (b *Broker) startMover(ctx context.Context) error {
	b.mu.Lock()
	runs := b.mover
	b.mu.Unlock()
	if runs {
		return nil
	}
	s, err := b.createDelay(ctx)
	if err != nil {
		return err
	}
	if err := b.fitForDelay(s.Config); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mover {
		return nil
	}
	b.mover = true
	b.users.Go(b.move)
	return nil
}

func (b *Broker) delayConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              b.names.delayStream(),
		Subjects:          []string{b.names.prefix + ".DELAY.>"},
		Storage:           jetstream.FileStorage,
		Replicas:          b.options.Replicas,
		Retention:         jetstream.WorkQueuePolicy,
		Discard:           jetstream.DiscardOld, // without limits nothing is discarded; schedules allow no other
		AllowMsgSchedules: true,
		AllowRollup:       true,
		Metadata:          map[string]string{metaFormat: "1", metaPattern: "delay"},
	}
}

// fitForDelay reports why an existing stream cannot be that of delayed messages.
func (b *Broker) fitForDelay(found jetstream.StreamConfig) error {
	want := b.delayConfig()
	if found.Metadata[metaFormat] != want.Metadata[metaFormat] || found.Metadata[metaPattern] != want.Metadata[metaPattern] {
		return fmt.Errorf("%w: a stream %s exists that Parley did not make, or another version of it: use another prefix",
			transport.ErrRefused, found.Name)
	}
	if !found.AllowMsgSchedules || !found.AllowRollup || !slices.Equal(found.Subjects, want.Subjects) {
		return fmt.Errorf("%w: the stream %s does not take schedules on %s: edit it, or use another prefix",
			transport.ErrRefused, found.Name, want.Subjects[0])
	}
	return safe(want, found)
}

// createDelay makes the stream of delayed messages and its mover's consumer, or finds them. What waits there is moved
// whatever the stream's settings are by now.
func (b *Broker) createDelay(ctx context.Context) (*jetstream.StreamInfo, error) {
	stream := b.names.delayStream()
	s, err := b.js.CreateStream(ctx, b.delayConfig())
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // as it is, or with other settings
		s, err = b.js.Stream(ctx, stream)
	}
	if err != nil {
		return nil, err
	}
	_, err = b.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: moverGroup, FilterSubject: b.names.due(), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: AckWait, MaxDeliver: -1, MaxAckPending: MaxCredit,
	})
	return s.CachedInfo(), err
}

// move takes what is due to its channel until the Broker is closed. What cannot be taken there waits and is tried
// again, for ever: it may be that its channel is full, or was deleted.
func (b *Broker) move() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := &receiver{
		b: b, stream: b.names.delayStream(), consumer: moverGroup, window: newWindow(transport.NewCredit(moverCredit)),
		restore: b.createDelay,
		take: func(d *entry) {
			h := d.msg.Header
			i := &item{
				msg: &message{natsio.Msg{Subject: h.Get(headerSubject), Header: moved(h), Data: d.msg.Data}},
				settled: func(r transport.Receipt) {
					if r.Err == nil {
						d.settle(transport.Done)
					} else {
						d.settle(later)
					}
				},
			}
			b.carrier(h.Get(headerStream)).add([]*item{i})
		},
	}
	for r.run(ctx) != nil { // it ends well when the Broker is closed
		select {
		case <-b.closing:
			return
		case <-time.After(moverPause):
		}
	}
}

// moved are the headers of a delayed message in its channel.
func moved(h natsio.Header) natsio.Header {
	n := make(natsio.Header, len(h))
	for k, v := range h {
		switch k {
		case headerSubject, headerStream, "Nats-Scheduler", "Nats-Schedule-Next":
		case headerID:
			n[natsio.MsgIdHdr] = v
		default:
			n[k] = v
		}
	}
	return n
}

// CancelDelayed implements [transport.Operator]. It removes all copies that wait under the id.
func (b *Broker) CancelDelayed(ctx context.Context, c transport.Channel, id string) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	fail := func(err error) error {
		return fmt.Errorf("nats: cancel delayed message %s to %s: %w", id, c.Address, err)
	}
	s, err := b.js.Stream(ctx, b.names.delayStream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fail(transport.ErrNotFound)
	}
	if err != nil {
		return fail(err)
	}
	subject := b.names.delayedID(c.Address, id) + ".*"
	state, err := s.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return fail(err)
	}
	if len(state.State.Subjects) == 0 {
		return fail(transport.ErrNotFound)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fail(err)
	}
	return nil
}
