package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/parley-io/parley/transport"
)

// Declare implements [transport.Broker]. A Queue or Topic keeps what is older than Retain; see the package's comment.
func (b *Broker) Declare(ctx context.Context, channels []transport.Channel) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	var errs []error
	for _, c := range channels {
		errs = append(errs, c.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("kafka: declare: %w", err)
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	if err := b.declare(ctx, channels); err != nil {
		return fmt.Errorf("kafka: declare: %w", err)
	}
	return nil
}

// bounded is a context for a question that the cluster answers soon, if it does, or until Close no longer waits.
func (b *Broker) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		ctx, cancel := context.WithCancel(ctx)
		b.endWith(ctx, cancel, b.dead)
		return ctx, cancel
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	b.endWith(ctx, cancel, b.dead)
	return ctx, cancel
}

// declare makes channels exist and this Broker able to send to them.
func (b *Broker) declare(ctx context.Context, channels []transport.Channel) error {
	missing, err := b.missing(ctx, channels)
	if err != nil {
		return meaning(err)
	}
	if len(missing) == 0 {
		return nil
	}
	errs := make([]error, len(missing))
	by := b.producer.now()
	var another atomic.Bool // topic than it was
	var own, read error
	var each sync.WaitGroup // a new topic takes the cluster a moment: all at once
	each.Go(func() { read = b.registry.read(ctx, func() {}) })
	each.Go(func() {
		var found kadm.TopicDetail
		if found, own = b.make(ctx, b.names.delay(), delayPartitions, delayConfig()); own == nil && b.learn(b.names.delay(), found.ID) {
			another.Store(true)
		}
	})
	for i, c := range missing {
		each.Go(func() {
			found, err := b.declareOne(ctx, c)
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", c.Address, meaning(err))
				return
			}
			if b.learn(found.Topic, found.ID) {
				another.Store(true)
			}
			b.mu.Lock()
			b.channels[c.Address] = c
			b.mu.Unlock()
		})
	}
	each.Wait()
	if another.Load() {
		b.supersede(by)
	}
	if err := errors.Join(own, read); err != nil {
		return errors.Join(errors.Join(errs...), meaning(err))
	}
	b.keep()
	return errors.Join(errs...)
}

// missing are those of channels that this Broker has not declared, or that somebody has deleted since; all of them if
// that is so of what carries delayed messages to them.
func (b *Broker) missing(ctx context.Context, channels []transport.Channel) (missing []transport.Channel, err error) {
	known := make(map[string]transport.Channel) // by topic
	for _, c := range channels {
		if have, ok := b.channel(c.Address); ok && have == c {
			known[b.names.topic(c.Address)] = c
		} else {
			missing = append(missing, c)
		}
	}
	if len(known) == 0 {
		return missing, nil
	}
	delay := b.names.delay()
	found, err := b.ask(ctx, slices.AppendSeq([]string{delay}, maps.Keys(known))...)
	if err != nil {
		return nil, err
	}
	gone := func(topic string) bool {
		t := found[topic]
		return deleted(t.Err) || t.Err == nil && t.ID != b.topicID(topic)
	}
	for topic, c := range known {
		if gone(topic) || gone(delay) {
			missing = append(missing, c)
		}
	}
	return missing, nil
}

// meaning says what a failed question means for repeating.
func meaning(err error) error {
	switch {
	case errors.Is(err, transport.ErrRefused):
		return err
	case denied(err):
		return fmt.Errorf("%w: %w", transport.ErrRefused, &transport.Error{Code: transport.PermissionDenied, NoRetry: true, Cause: err,
			Message: "this user may not do that: give it the rights that the package's documentation lists"})
	case errors.Is(err, kerr.InvalidReplicationFactor), errors.Is(err, kerr.PolicyViolation), errors.Is(err, kerr.InvalidConfig):
		return fmt.Errorf("%w: %w", transport.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
}

func (b *Broker) declareOne(ctx context.Context, c transport.Channel) (kadm.TopicDetail, error) {
	topic := b.names.topic(c.Address)
	config := topicConfig(c)
	found, err := b.create(ctx, topic, partitions(c), config)
	if err != nil {
		return found, err
	}
	for {
		have, ok, err := b.registry.form(ctx, found.ID)
		if err != nil {
			return found, err
		}
		if !ok {
			have = c
		}
		if err := b.same(have, c, found); err != nil {
			return found, err
		}
		if c.Pattern == transport.Stream { // bounded, as the cluster's operator likes
			delete(config, "retention.ms")
			delete(config, "retention.bytes")
		}
		if err := b.sound(ctx, found, config); err != nil {
			return found, err
		}
		if ok {
			break
		}
		if err := b.registry.add(ctx, entryOfChannel(found.ID, c)); err != nil {
			return found, err
		}
	}
	return found, nil
}

// same reports how a channel that exists as have differs from the one that is wanted.
func (b *Broker) same(have, want transport.Channel, found kadm.TopicDetail) error {
	if have.Address == want.Address && have != want {
		return fmt.Errorf("%w: it exists as a %s, and is declared as a %s: let both sides declare the same, or use another address",
			transport.ErrRefused, form(have), form(want))
	}
	if n := len(found.Partitions); n != partitions(want) {
		return fmt.Errorf("%w: topic %s exists with %d partitions, and is declared as a %s, which needs %d: declare as many, or use another address",
			transport.ErrRefused, found.Topic, n, form(want), partitions(want))
	}
	return nil
}

func form(c transport.Channel) string {
	s := fmt.Sprintf("%v of %d partitions", c.Pattern, c.Partitions)
	if c.Retain > 0 {
		s += " kept " + c.Retain.String()
	}
	if c.RetainBytes > 0 {
		s += fmt.Sprintf(" up to %d bytes", c.RetainBytes)
	}
	return s
}
