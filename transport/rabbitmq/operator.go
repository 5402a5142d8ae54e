package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// Backlog implements [transport.Operator]. The server tells neither what is in flight nor when a message was accepted.
// Of a Stream's group it is how far the stored position is behind, copies for other groups included. A group or channel
// that does not exist is [transport.ErrNotFound].
func (b *Broker) Backlog(ctx context.Context, c transport.Channel, group string) (waiting int64, oldest time.Time, err error) {
	if c.Pattern == transport.Queue {
		group = ""
	}
	err = b.operate(ctx, "backlog", c, func(ch *amqp.Channel) error {
		waiting = 0
		for _, p := range partitions(c) {
			n, err := b.backlog(ch, c, group, p)
			if err != nil {
				return err
			}
			waiting += n
		}
		return nil
	})
	return waiting, oldest, err
}

func (b *Broker) backlog(ch *amqp.Channel, c transport.Channel, group string, partition int) (int64, error) {
	queue := b.names.queue(c.Address, group, partition)
	if c.Pattern != transport.Stream || group == "" {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return int64(q.Messages), err
	}
	d, ok, err := ch.Get(b.names.seen(c.Address, group, partition), false)
	if err != nil || !ok {
		return 0, err
	}
	if err := d.Nack(false, true); err != nil {
		return 0, err
	}
	position, err := parseMark(string(d.Body))
	if err != nil {
		return 0, err
	}
	return behind(ch, b.names.queue(c.Address, "", partition), position)
}

// behind counts the messages of a stream from a position on, by looking at its last ones.
func behind(ch *amqp.Channel, stream string, from mark) (n int64, err error) {
	const enough = 1000
	if err := ch.Qos(enough, 0, false); err != nil {
		return 0, err
	}
	offset := any("last")
	if from.kind != markAt {
		offset = from.offset("")
	}
	deliveries, err := ch.Consume(stream, "behind", false, false, false, false, amqp.Table{"x-stream-offset": offset})
	if err != nil {
		return 0, err
	}
	count, last := int64(0), int64(-1)
	for {
		select {
		case d, ok := <-deliveries:
			if !ok {
				return 0, errors.New("the channel ended")
			}
			last = max(last, streamOffset(&d))
			if from.kind != markFrom || sent(&d) >= from.n {
				count++
			}
			if err := d.Ack(false); err != nil {
				return 0, err
			}
			continue
		case <-time.After(silence / 5):
		}
		break
	}
	if err := ch.Cancel("behind", false); err != nil {
		return 0, err
	}
	for range deliveries { // closed with the consumer
	}
	if from.kind == markAt {
		return max(last+1-from.n, 0), nil
	}
	return count, nil
}

// RemoveGroup implements [transport.Operator]. Running Receives of the group end with an error wrapping
// [transport.ErrNotFound]. The one group of a Queue cannot be removed.
func (b *Broker) RemoveGroup(ctx context.Context, c transport.Channel, group string) error {
	if err := transport.CheckGroup(group); err != nil {
		return fmt.Errorf("rabbitmq: remove group of %s: %w", c.Address, err)
	}
	if c.Pattern == transport.Queue {
		return fmt.Errorf("rabbitmq: remove group of %s: a queue's one group cannot be removed", c.Address)
	}
	return b.operate(ctx, "remove group", c, func(ch *amqp.Channel) error {
		for _, p := range partitions(c) {
			for _, queue := range []string{b.names.queue(c.Address, group, p), b.names.seen(c.Address, group, p)} {
				if _, err := ch.QueueDelete(queue, false, false, false); err != nil { // what is not there is fine
					return err
				}
			}
		}
		return nil
	})
}

// CancelDelayed implements [transport.Operator]: the server has no means to find a message that waits.
func (b *Broker) CancelDelayed(_ context.Context, c transport.Channel, id string) error {
	return fmt.Errorf("rabbitmq: cancel %s to %s: %w: RabbitMQ cannot take out a message that waits", id, c.Address, errors.ErrUnsupported)
}

// operate does f on a channel of its own.
func (b *Broker) operate(ctx context.Context, what string, c transport.Channel, f func(*amqp.Channel) error) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	err := b.transact(ctx, f)
	switch {
	case err == nil:
		return nil
	case isMissing(err):
		err = fmt.Errorf("no such channel or group: %w", transport.ErrNotFound)
	default:
		err = refusal(err)
	}
	return fmt.Errorf("rabbitmq: %s of %s: %w", what, c.Address, err)
}
