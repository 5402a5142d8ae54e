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
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := b.backlog(ctx, ch, c, group, p)
			if err != nil {
				return err
			}
			waiting += n
		}
		return nil
	})
	return waiting, oldest, err
}

func (b *Broker) backlog(ctx context.Context, ch *amqp.Channel, c transport.Channel, group string, partition int) (int64, error) {
	queue := b.names.queue(c.Address, group, partition)
	if c.Pattern != transport.Stream || group == "" {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return int64(q.Messages), err
	}
	position, err := b.look(ctx, ch, b.names.seen(c.Address, group, partition))
	if err != nil || position.kind == "" {
		return 0, err
	}
	stream := b.names.queue(c.Address, "", partition)
	end, err := endOf(ch, stream)
	if err == nil && position.kind == markFrom {
		position.n, err = firstSince(ctx, ch, stream, position, end)
	}
	if err != nil || position.n > end { // of a stream that was deleted: all of this one is new
		return end, err
	}
	return end - position.n, nil
}

// look reads the position that a queue shows; the zero mark = there is none yet. While others look, it is not there.
func (b *Broker) look(ctx context.Context, ch *amqp.Channel, seen string) (m mark, err error) {
	for range 50 {
		d, ok, err := ch.Get(seen, false)
		if err != nil {
			return m, err
		}
		if ok {
			if err := d.Nack(false, true); err != nil {
				return m, err
			}
			return parseMark(string(d.Body))
		}
		select {
		case <-time.After(firstPause):
		case <-ctx.Done():
			return m, context.Cause(ctx)
		}
	}
	return m, nil
}

// firstSince is the offset of the first message of a stream that was sent at a time or later, end if there is none.
func firstSince(ctx context.Context, ch *amqp.Channel, stream string, since mark, end int64) (int64, error) {
	deliveries, err := consumeFrom(ch, stream, since.offset())
	if err != nil {
		return 0, err
	}
	for offset := int64(-1); offset < end-1; {
		select {
		case d, ok := <-deliveries:
			if !ok {
				return 0, errChannelEnded
			}
			if offset = numberOf(&d, offsetHeader); numberOf(&d, sentHeader) >= since.n {
				return min(offset, end), nil
			}
			if err := d.Ack(false); err != nil { // more may come
				return 0, err
			}
		case <-time.After(silence): // all is older
			return end, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return end, nil
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
			own := b.names.queue(c.Address, group, p)
			for _, queue := range []string{own, b.names.seen(c.Address, group, p), b.names.landing(own)} {
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
	err := b.transact(ctx, c.Address, f)
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
