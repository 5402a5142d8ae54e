package kafka

import (
	"context"
	"errors"
	"fmt"

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

// bounded is a context for a question that the cluster answers soon, if it does.
func (b *Broker) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, answerLimit)
}

// declare makes channels exist and this Broker able to send to them.
func (b *Broker) declare(ctx context.Context, channels []transport.Channel) error {
	var missing []transport.Channel
	for _, c := range channels {
		if have, ok := b.channel(c.Address); !ok || have != c {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := b.create(ctx, b.names.delay(), delayPartitions, delayConfig()); err != nil {
		return meaning(err)
	}
	var errs []error
	for _, c := range missing {
		if err := b.declareOne(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Address, meaning(err)))
		}
	}
	b.keep()
	return errors.Join(errs...)
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

func (b *Broker) declareOne(ctx context.Context, c transport.Channel) error {
	topic := b.names.topic(c.Address)
	found, err := b.create(ctx, topic, partitions(c), topicConfig(c))
	if err != nil {
		return err
	}
	for {
		have, ok, err := b.registry.form(ctx, found.ID)
		if err != nil {
			return err
		}
		if ok {
			if err := b.same(have, c, found); err != nil {
				return err
			}
			break
		}
		if err := b.same(c, c, found); err != nil {
			return err
		}
		if err := b.registry.add(ctx, entryOfChannel(found.ID, c)); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.channels[c.Address], b.topics[c.Address] = c, found.ID
	return nil
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
	if n := found.Partitions.NumReplicas(); b.features.Survives == "node" && n < 3 {
		return fmt.Errorf("%w: topic %s has %d replicas, want 3, without which the loss of a node loses messages: reassign its partitions",
			transport.ErrRefused, found.Topic, n)
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
