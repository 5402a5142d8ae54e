package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

const (
	defaultCredit = 256
	// fetchWait is how long the cluster keeps a request that it has nothing for. A request that was made while a lane was full
	// asks for the others, and where these are idle, the lane waits for so long at the most before it is asked for again.
	fetchWait = 200 * time.Millisecond
)

// Receive implements [transport.Broker]. It declares route.Channel if that has not happened.
func (b *Broker) Receive(ctx context.Context, route transport.Route, take func(*transport.Delivery)) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	fail := func(err error) error {
		return fmt.Errorf("kafka: receive from %s, group %q: %w", route.Channel.Address, route.Group, err)
	}
	if err := checkRoute(route); err != nil {
		return fail(err)
	}
	r := newReceiver(b, route, take)
	if err := r.open(ctx); err != nil {
		return fail(err)
	}
	if r.client == nil { // ctx was done, or the Broker closed, before anything could be received
		return nil
	}
	if err := r.run(ctx); err != nil {
		return fail(err)
	}
	return nil
}

func checkRoute(r transport.Route) error {
	errs := []error{r.Validate()}
	for _, p := range []transport.Position{r.From, r.Until} {
		if p.At != "" {
			_, _, err := parsePosition(p.At)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// open makes everything that the receiver needs in the cluster, and its client, as soon as the cluster answers. There is
// no other client if it was stopped before.
func (r *receiver) open(ctx context.Context) error {
	ctx, cancel := r.b.until(ctx)
	defer cancel()
	for pause := tryAgain; ; pause = min(2*pause, maxTryAgain) {
		err := r.tryOpen(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return nil
		case useless(err):
			return err
		}
		select {
		case <-time.After(jitter(pause)):
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *receiver) tryOpen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if err := r.b.declare(ctx, []transport.Channel{r.route.Channel}); err != nil {
		return err
	}
	id := r.b.topicID(r.topic)
	again, none := r.id == id, kadm.TopicID{}
	switch {
	case id == none:
		return errors.New("the cluster has lost the channel in this moment")
	case again || r.id == none:
	case !r.route.Until.IsZero():
		return fmt.Errorf("the channel was deleted with all that it had until then: %w", transport.ErrNotFound)
	default:
		r.from = transport.Position{Start: true} // nobody has had any of it
	}
	if err := r.bind(ctx); err != nil {
		return fmt.Errorf("until: %w", err)
	}
	options := []kgo.Opt{
		kgo.KeepControlRecords(), // they have offsets that are settled like others
		kgo.FetchMaxWait(fetchWait),
		kgo.FetchMaxPartitionBytes(fetchBytes),
		kgo.FetchMaxBytes(int32(fetchBytes * min(partitions(r.route.Channel), 32))),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // what was before is not kept any longer
	}
	var lanes []*lane
	if r.reader() {
		from, err := r.begin(ctx, again)
		if err != nil {
			return fmt.Errorf("from: %w", err)
		}
		at := make(map[int32]kgo.Offset)
		for p, o := range from {
			at[p] = kgo.NewOffset().At(o)
			l := newLane(r, p, 0)
			l.mark = o
			lanes = append(lanes, l)
		}
		options = append(options, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: at}))
	} else {
		if err := r.register(ctx, again); err != nil {
			return fmt.Errorf("register the group: %w", err)
		}
		options = append(options, r.membership()...)
	}
	life, cut := r.b.life()
	r.mu.Lock() // which what the client calls back waits for
	defer r.mu.Unlock()
	cl, err := r.b.options.client(append(options, kgo.WithContext(life))...)
	if err != nil {
		cut()
		return err
	}
	r.client, r.cut, r.id, r.lanes, r.member, r.generation, r.renewing = cl, cut, id, lanes, "", -1, false
	return nil
}

// begin is where a reader begins, again with what is not settled.
func (r *receiver) begin(ctx context.Context, again bool) (map[int32]int64, error) {
	if !again {
		return r.b.offsets(ctx, r.route.Channel, r.from, false)
	}
	from := make(map[int32]int64)
	for _, l := range r.lanes {
		from[l.partition] = l.mark
	}
	return from, nil
}

// useless reports whether an error says that going on makes no sense.
func useless(err error) bool {
	if errors.Is(err, transport.ErrRefused) || errors.Is(err, transport.ErrNotFound) || errors.Is(err, transport.ErrClosed) {
		return true
	}
	code := transport.CodeOf(err)
	return denied(err) || code != transport.Unknown && code != transport.Unavailable
}

// until is ctx, ended by Close as well.
func (b *Broker) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	b.endWith(ctx, cancel, b.closing)
	return ctx, cancel
}

// life is for what goes on while Close waits, but no longer: it ends when Close does.
func (b *Broker) life() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	b.endWith(ctx, cancel, b.dead)
	return ctx, cancel
}

// alive is life that ends after limit.
func (b *Broker) alive(limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	b.endWith(ctx, cancel, b.dead)
	return ctx, cancel
}

func (b *Broker) endWith(ctx context.Context, cancel context.CancelFunc, end <-chan struct{}) {
	b.users.Go(func() {
		select {
		case <-end:
			cancel()
		case <-ctx.Done():
		}
	})
}
