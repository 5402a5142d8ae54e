package main

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// amqpClient is amqp091-go as one would write it for speed: a quorum queue, persistent messages, published as mandatory
// on one channel in confirm mode by all goroutines, and a connection for consuming.
type amqpClient struct {
	sending   *amqp.Connection
	receiving *amqp.Connection
	channel   *amqp.Channel      // for publishing
	returned  <-chan amqp.Return // of what no queue wanted
}

// amqpPrefetch is how many messages wait in a consumer; fewer are slower.
const amqpPrefetch = 2000

func openAMQP(_ context.Context, url string) (client, error) {
	c := &amqpClient{}
	if err := c.open(url); err != nil {
		return nil, errors.Join(err, c.shut())
	}
	return c, nil
}

func (c *amqpClient) open(url string) (err error) {
	if c.sending, err = amqp.Dial(url); err != nil {
		return err
	}
	if c.receiving, err = amqp.Dial(url); err != nil {
		return err
	}
	if c.channel, err = c.sending.Channel(); err != nil {
		return err
	}
	c.returned = c.channel.NotifyReturn(make(chan amqp.Return, 1))
	return c.channel.Confirm(false)
}

func (c *amqpClient) create(_ context.Context, q queue) error {
	return withChannel(c.receiving, func(ch *amqp.Channel) error { return declareQuorum(ch, q.name) })
}

func (c *amqpClient) publish(ctx context.Context, q queue, _ string, body []byte) error {
	confirmation, err := c.channel.PublishWithDeferredConfirmWithContext(ctx, "", q.name, true, false,
		amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
	if err != nil {
		return err
	}
	confirmed, err := confirmation.WaitContext(ctx)
	if err != nil {
		return err
	}
	select {
	case r := <-c.returned:
		return fmt.Errorf("a message to %s was returned: %s", r.RoutingKey, r.ReplyText)
	default:
	}
	if !confirmed {
		return errors.New("the broker refused a message")
	}
	return nil
}

// consume handles one message after the other, and acknowledges each.
func (c *amqpClient) consume(ctx context.Context, q queue, in intake) error {
	return withChannel(c.receiving, func(ch *amqp.Channel) error {
		if err := ch.Qos(amqpPrefetch, 0, false); err != nil {
			return err
		}
		deliveries, err := ch.ConsumeWithContext(ctx, q.name, "", false, false, false, false, nil)
		if err != nil {
			return err
		}
		in.ready()
		for d := range deliveries {
			in.handle(d.Body)
			if err := d.Ack(false); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *amqpClient) remove(_ context.Context, q queue) error {
	return withChannel(c.receiving, func(ch *amqp.Channel) error { return deleteQueue(ch, q.name) })
}

func (c *amqpClient) close(context.Context) error { return c.shut() }

func (c *amqpClient) shut() error {
	var errs []error
	for _, conn := range []*amqp.Connection{c.sending, c.receiving} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}

// withChannel lends f a channel.
func withChannel(conn *amqp.Connection, f func(*amqp.Channel) error) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return errors.Join(f(ch), ch.Close())
}

// quorum are the arguments of a queue that is replicated, where there is somebody to replicate it to.
func quorum() amqp.Table { return amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum} }

func declareQuorum(ch *amqp.Channel, name string) error {
	_, err := ch.QueueDeclare(name, true, false, false, false, quorum())
	return err
}

func deleteQueue(ch *amqp.Channel, name string) error {
	_, err := ch.QueueDelete(name, false, false, false)
	return err
}
