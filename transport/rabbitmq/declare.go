package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

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
		return fmt.Errorf("rabbitmq: declare: %w", err)
	}
	if err := b.ladder(ctx); err != nil {
		return fmt.Errorf("rabbitmq: declare: %w", refusal(err))
	}
	var made []transport.Channel
	for _, c := range channels {
		if b.declared(c) {
			continue
		}
		if err := b.transact(ctx, c.Address, func(ch *amqp.Channel) error { return b.lay(ch, c) }); err != nil {
			errs = append(errs, fmt.Errorf("rabbitmq: declare %s: %w", c.Address, refusal(err)))
			continue
		}
		made = append(made, c)
	}
	if len(made) > 0 { // by another process just now, perhaps
		if err := b.transact(ctx, "settle", b.settle); err != nil {
			return errors.Join(append(errs, fmt.Errorf("rabbitmq: declare: %w", refusal(err)))...)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range made {
		b.channels[c.Address] = c
	}
	return errors.Join(errs...)
}

// settle makes what was made last. A server that is killed (3.10.8 was tried) has lost the last that it noted about where
// quorum queues are, unless something was noted after: when it starts again, that queue never gets a leader, and all who
// use it wait. So one more is made and deleted, which takes 5 s while a node of a cluster is away.
func (b *Broker) settle(ch *amqp.Channel) error {
	name := b.names.prefix + ".SETTLE." + rand.Text()
	if _, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-expires": int64(60_000), // should this process die before it deletes it
	}); err != nil {
		return err
	}
	_, err := ch.QueueDelete(name, false, false, false)
	return err
}

// deletionTime is how long the server may take to delete a quorum queue after it said so. One that is made meanwhile,
// with the same name, was seen to confirm messages and to deliver none.
const deletionTime = time.Second

func (b *Broker) declared(c transport.Channel) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.channels[c.Address] == c
}

// transact does f on a channel of its own of the connection for receiving, which the server reads also when it takes no
// more messages. It waits for a connection, and no longer than ctx. There is one at a time about a thing, also when
// nobody waits for the last one any more: a server that takes minutes to answer is not asked ever more by those who try
// again, until the connection has no channel left.
func (b *Broker) transact(ctx context.Context, about string, f func(ch *amqp.Channel) error) error {
	turn := b.turn(about)
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("the server has not answered what it was asked before: %w", context.Cause(ctx))
	case <-b.dead:
		return transport.ErrClosed
	}
	s, err := b.inward.wait(ctx)
	if err != nil {
		<-turn
		return err
	}
	done := make(chan error, 1)
	b.users.Go(func() { // ends with the session at the latest
		done <- s.transact(f)
		<-turn
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.dead:
		return transport.ErrClosed
	}
}

// turn has room for who asks the server about a thing.
func (b *Broker) turn(about string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.turns[about]
	if t == nil {
		t = make(chan struct{}, 1)
		b.turns[about] = t
	}
	return t
}

// lay makes what a channel consists of, or finds that it is there in the same form.
func (b *Broker) lay(ch *amqp.Channel, c transport.Channel) error {
	if err := ch.ExchangeDeclare(b.names.due(), "topic", true, false, false, false, nil); err != nil {
		return err
	}
	exchange := b.names.exchange(c.Address)
	if err := ch.ExchangeDeclare(exchange, "direct", true, false, false, false, b.form(c)); err != nil {
		return err
	}
	if c.Pattern == transport.Topic {
		return nil // its queues are those of its groups
	}
	args := quorum(c)
	if c.Pattern == transport.Stream {
		args = stream(c)
	}
	for _, p := range partitions(c) {
		if err := b.layQueue(ch, c, "", p, args); err != nil {
			return err
		}
	}
	return nil
}

// layGroup makes what a group of a channel consists of.
func (b *Broker) layGroup(ch *amqp.Channel, c transport.Channel, group string) error {
	if group == "" {
		return nil
	}
	for _, p := range partitions(c) {
		var err error
		if c.Pattern == transport.Stream {
			err = b.layPosition(ch, c, group, p)
		} else {
			err = b.layQueue(ch, c, group, p, quorum(c))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// layQueue makes the queue of a partition and binds it: for what is for all groups, and for what is for its own.
func (b *Broker) layQueue(ch *amqp.Channel, c transport.Channel, group string, partition int, args amqp.Table) error {
	queue := b.names.queue(c.Address, group, partition)
	if _, err := ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
		return err
	}
	late := queue // where it gets what was delayed
	if c.RetainBytes > 0 && c.Pattern != transport.Stream {
		late = b.names.landing(queue)
		if err := b.layLanding(ch, c, late, key(partition, group)); err != nil {
			return err
		}
	}
	for _, g := range slices.Compact([]string{"", group}) {
		if err := ch.QueueBind(queue, key(partition, g), b.names.exchange(c.Address), false, nil); err != nil {
			return err
		}
		if err := ch.QueueBind(late, "#."+b.names.target(c, partition, g), b.names.due(), false, nil); err != nil {
			return err
		}
	}
	return nil
}

// layLanding makes the queue through which another one that may be full gets what was delayed: there it waits, and not
// in a mover's hands, where it would hold up the messages of all other channels.
func (b *Broker) layLanding(ch *amqp.Channel, c transport.Channel, landing, key string) error {
	_, err := ch.QueueDeclare(landing, true, false, false, false, amqp.Table{
		"x-queue-type": "quorum", "x-message-ttl": int64(1), "x-overflow": "reject-publish",
		"x-dead-letter-exchange": b.names.exchange(c.Address), "x-dead-letter-routing-key": key,
		"x-dead-letter-strategy": "at-least-once", "x-delivery-limit": noDeliveryLimit,
	})
	return err
}

const (
	// noDeliveryLimit is a number that no message is returned as often as: since 4.0 the server drops what was returned
	// 20 times where nothing is said, and 3.10 knows no word for never.
	noDeliveryLimit = int64(1<<31 - 1)
	// handlerLimit is for how long a handler may hold a message where the server (3.12 or later) lets a queue say so;
	// others close the channel after their own consumer_timeout, 30 minutes if nothing is said.
	handlerLimit = 90 * 24 * time.Hour
	// segmentBytes is how much of a stream is dropped at once, at the most; the server's default is 500 MB.
	segmentBytes = int64(16 << 20)
)

// quorum are the arguments of a queue of messages.
func quorum(c transport.Channel) amqp.Table {
	t := amqp.Table{
		"x-queue-type": "quorum", "x-delivery-limit": noDeliveryLimit, "x-consumer-timeout": handlerLimit.Milliseconds(),
	}
	if c.Partitions > 0 {
		t["x-single-active-consumer"] = true
	}
	if c.RetainBytes > 0 {
		t["x-max-length-bytes"], t["x-overflow"] = max(c.RetainBytes/int64(max(c.Partitions, 1)), 1), "reject-publish"
	}
	return t
}

// stream are the arguments of a stream.
func stream(c transport.Channel) amqp.Table {
	t := amqp.Table{"x-queue-type": "stream", "x-stream-max-segment-size-bytes": segmentBytes}
	if c.Retain > 0 {
		t["x-max-age"] = fmt.Sprintf("%ds", int64((c.Retain+time.Second-1)/time.Second))
	}
	if c.RetainBytes > 0 {
		share := max(c.RetainBytes/int64(max(c.Partitions, 1)), 1<<16)
		t["x-max-length-bytes"], t["x-stream-max-segment-size-bytes"] = share, max(min(segmentBytes, share/4), 1<<14)
	}
	return t
}

// form is a channel's form in words. It stands where an exchange names another one for what no queue takes: of an
// exchange's arguments that is the only one which the server compares, and which it names, as it was and as it is
// wanted, when they differ. There is no exchange of such a name, and none is needed.
func (b *Broker) form(c transport.Channel) amqp.Table {
	var s strings.Builder
	fmt.Fprintf(&s, "%s.FORM: a %s", b.names.prefix, c.Pattern)
	if c.Partitions > 0 {
		fmt.Fprintf(&s, " of %d partitions", c.Partitions)
	} else {
		s.WriteString(" without order")
	}
	if c.Retain > 0 {
		fmt.Fprintf(&s, " kept %v", c.Retain)
	}
	if c.RetainBytes > 0 {
		fmt.Fprintf(&s, " up to %d bytes", c.RetainBytes)
	}
	return amqp.Table{"alternate-exchange": s.String()}
}
