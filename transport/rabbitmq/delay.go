package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// A message waits on a ladder of queues: on level k for 2^k units, on those levels alone whose bit is set in the number
// of units that it waits in all. Each level has an exchange, which puts a message into the level's queue if its bit is
// set and else hands it to the exchange below; what has waited in the queue goes to the exchange below, too. So all
// messages of one queue wait equally long, and none waits behind another. The bits are the words of the routing key,
// the highest first, and the last words say where the message goes then.
const (
	delayUnit = 250 * time.Millisecond
	levels    = 25 // 2^24 units are 48 days; a queue cannot wait longer than 49
)

// units is how many units of waiting are not less than d.
func units(d time.Duration) int64 { return int64((d + delayUnit - 1) / delayUnit) }

// climb is where a message that waits n units enters the ladder, and the words of its routing key.
func climb(n int64) (top int, words string) {
	var b strings.Builder
	top = -1
	for k := levels - 1; k >= 0; k-- {
		bit := n >> k & 1
		if bit == 1 && top < 0 {
			top = k
		}
		b.WriteByte(byte('0' + bit))
		b.WriteByte('.')
	}
	return top, b.String()
}

// postpone is where a message for a partition and group goes that must wait for d.
func (n names) postpone(c transport.Channel, partition int, group string, d time.Duration) (exchange, key string) {
	top, words := climb(units(d))
	return n.level(top), words + n.target(c, partition, group)
}

// ladder makes the ladder exist, once for each time that it is not known to be there.
func (b *Broker) ladder(ctx context.Context) error {
	if b.laddered.Load() {
		return nil
	}
	select {
	case b.laddering <- struct{}{}:
		defer func() { <-b.laddering }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if b.laddered.Load() {
		return nil
	}
	err := b.transact(ctx, "ladder", func(ch *amqp.Channel) error { // what is made last
		return ch.ExchangeDeclarePassive(b.names.level(levels-1), "topic", true, false, false, false, nil)
	})
	if isMissing(err) {
		err = b.transact(ctx, "ladder", b.layLadder)
	}
	if err != nil {
		return fmt.Errorf("make the place of delayed messages: %w", err)
	}
	b.laddered.Store(true)
	return nil
}

// layLadder makes it from below. Without at-least-once the server would lose what it moves when it ends.
func (b *Broker) layLadder(ch *amqp.Channel) error {
	if err := b.layNobody(ch); err != nil {
		return err
	}
	for k := range levels {
		name, before := b.names.level(k), strings.Repeat("*.", levels-1-k)
		_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{
			"x-queue-type": "quorum", "x-message-ttl": (delayUnit << k).Milliseconds(), "x-overflow": "reject-publish",
			"x-dead-letter-exchange": b.names.level(k - 1), "x-dead-letter-strategy": "at-least-once",
			"x-delivery-limit": noDeliveryLimit,
		})
		if err != nil {
			return err
		}
		if err := ch.ExchangeDeclare(name, "topic", true, false, false, false, nil); err != nil {
			return err
		}
		if err := ch.QueueBind(name, before+"1.#", name, false, nil); err != nil {
			return err
		}
		if err := ch.ExchangeBind(b.names.level(k-1), before+"0.#", name, false, nil); err != nil {
			return err
		}
	}
	return nil
}

// layNobody makes the ladder's end, and a queue that takes a copy of all that goes to topics and drops it at once: a
// topic may have no group, and what no queue takes would stay on the ladder and hold up the others.
func (b *Broker) layNobody(ch *amqp.Channel) error {
	if err := ch.ExchangeDeclare(b.names.due(), "topic", true, false, false, false, nil); err != nil {
		return err
	}
	nobody := b.names.nobody()
	_, err := ch.QueueDeclare(nobody, true, false, false, false, amqp.Table{"x-queue-type": "classic", "x-max-length": int64(0)})
	if err != nil {
		return err
	}
	return ch.QueueBind(nobody, "#.TOPIC.#", b.names.due(), false, nil)
}
