package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// What is delayed waits in two places, one after the other. On the ladder the server keeps it, for as long as it takes,
// but is not on time: it moves a few hundred messages a second, and none for a while after it was killed. So a message
// leaves the ladder when slack is left or a little more, and the rest is waited for in front of a [mover]. What is due
// sooner than two slacks goes there at once.
//
// The ladder is made of queues: on level k a message waits for 2^k units, on those levels alone whose bit is set in the
// number of units that it waits in all. Each level has an exchange, which puts a message into the level's queue if its
// bit is set and else hands it to the exchange below; what has waited in the queue goes to the exchange below, too. So
// all messages of one queue wait equally long, and none waits behind another. The bits are the words of the routing key,
// the highest first, and the last words say where the message goes then.
const (
	delayUnit = 250 * time.Millisecond
	levels    = 25 // 2^24 units are 48 days; a queue cannot wait longer than 49
	// slack is by how much the ladder may be late and nobody notices. The server that is killed and starts again is later
	// by dead_letter_worker_publisher_confirm_timeout than it is away.
	slack = 32 * time.Second
)

// Headers of what is delayed; none of them is on a message that a receiver gets.
const (
	targetHeader = "x-parley-target" // the routing key under which it goes on when it is due
	restHeader   = "x-parley-rest"   // nanoseconds that are left when it leaves the ladder
	// dueHeader is when it is due, in nanoseconds of Unix time by the server's clock. It is not there if the sender did
	// not know the server's time.
	dueHeader = "x-parley-due"
)

// split says how many units of d are waited for on the ladder, a multiple of slack, and how long after that.
func split(d time.Duration) (units int64, rest time.Duration) {
	if d > 2*slack {
		units = int64((d-slack)/slack) * int64(slack/delayUnit)
	}
	return units, d - time.Duration(units)*delayUnit
}

// climb is where a message that waits n units enters the ladder, -1 for behind it, and the words of its routing key.
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

// postpone has p, which is for a partition and group, wait for d.
func (b *Broker) postpone(p *parcel, partition int, group string, now time.Time, d time.Duration) {
	n, rest := split(d)
	top, words := climb(n)
	h := &p.message.headers
	h.putText("", targetHeader, b.names.target(p.channel, partition, group))
	h.putNumber(restHeader, int64(rest))
	if server := b.clock.latest(now); server > 0 {
		h.putNumber(dueHeader, server+int64(d))
	}
	p.delayed, p.mandatory = true, true
	p.exchange, p.key = b.names.level(top), words+nearWord(nearFor(rest))
}

// ladder makes the place of what is delayed exist, once for each time that it is not known to be there, and begins to move
// what is due.
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
	err := b.transact(ctx, "ladder", b.standing)
	if isMissing(err) {
		err = b.transact(ctx, "ladder", b.layLadder)
	}
	if err != nil {
		return fmt.Errorf("make the place of delayed messages: %w", err)
	}
	b.laddered.Store(true)
	b.keepMoving()
	return nil
}

// standing asks for what layLadder makes last, and for what a mover consumes from.
func (b *Broker) standing(ch *amqp.Channel) error {
	for k := range nears {
		if _, err := ch.QueueDeclarePassive(b.names.near(k), true, false, false, false, nil); err != nil {
			return err
		}
	}
	return nil
}

// layLadder makes it from below, and then what is behind it. Without at-least-once the server would lose what it moves
// when it ends.
func (b *Broker) layLadder(ch *amqp.Channel) error {
	if err := ch.ExchangeDeclare(b.names.due(), "topic", true, false, false, false, nil); err != nil {
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
	return b.layNear(ch)
}

// layNear makes the queues in front of the mover. One mover at a time has what is in a queue: another would hold a part
// of it for as long.
func (b *Broker) layNear(ch *amqp.Channel) error {
	for k := range nears {
		queue := b.names.near(k)
		if _, err := ch.QueueDeclare(queue, true, false, false, false, quorum(transport.Channel{Partitions: 1})); err != nil {
			return err
		}
		if err := ch.QueueBind(queue, "#."+nearWord(k), b.names.due(), false, nil); err != nil {
			return err
		}
	}
	return nil
}
