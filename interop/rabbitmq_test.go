package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cloudevents/sdk-go/v2/binding"
	amqp "github.com/rabbitmq/amqp091-go"
)

// rabbitMQ is a stranger on RabbitMQ.
type rabbitMQ struct {
	prefix  string
	conn    *amqp.Connection
	publish *amqp.Channel // confirms
}

func joinRabbitMQ(server, prefix string) (stranger, error) {
	conn, err := amqp.Dial(server)
	if err != nil {
		return nil, err
	}
	publish, err := conn.Channel()
	if err == nil {
		err = publish.Confirm(false)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &rabbitMQ{prefix, conn, publish}, nil
}

func (r *rabbitMQ) exchange(c channel) string { return r.prefix + "." + c.address }

func (r *rabbitMQ) sender(c channel, subject string) (any, error) {
	return &amqpSender{r, c, subject}, nil
}

// receiver is a queue of the stranger's own, bound to all partitions.
func (r *rabbitMQ) receiver(c channel) (any, error) {
	ch, err := r.conn.Channel()
	if err != nil {
		return nil, err
	}
	queue, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		return nil, err
	}
	for p := range max(c.partitions, 1) {
		if err := ch.QueueBind(queue.Name, fmt.Sprint(p), r.exchange(c), false, nil); err != nil {
			return nil, err
		}
	}
	deliveries, err := ch.Consume(queue.Name, "", false, true, false, false, nil)
	return amqpReceiver(deliveries), err
}

func (r *rabbitMQ) blurt(ctx context.Context, c channel, subject string, body []byte) error {
	return r.send(ctx, c, subject, amqp.Publishing{Body: body})
}

func (r *rabbitMQ) send(ctx context.Context, c channel, subject string, m amqp.Publishing) error {
	m.DeliveryMode = amqp.Persistent
	confirmation, err := r.publish.PublishWithDeferredConfirm(r.exchange(c), fmt.Sprint(c.partition(subject)), false, false, m)
	if err != nil {
		return err
	}
	if taken, err := confirmation.WaitContext(ctx); err != nil || !taken {
		return errors.Join(err, fmt.Errorf("confirmed: %v", taken))
	}
	return nil
}

func (r *rabbitMQ) decoded(attribute string) (string, error) { return attribute, nil }

func (r *rabbitMQ) close() { _ = r.conn.Close() } // what is open ends with it

// amqpSender is what the SDK sends through.
type amqpSender struct {
	to      *rabbitMQ
	channel channel
	subject string
}

func (s *amqpSender) Send(ctx context.Context, m binding.Message, transformers ...binding.Transformer) error {
	var w amqpWriter
	_, err := binding.Write(ctx, m, &w, &w, transformers...)
	if err == nil {
		err = s.to.send(ctx, s.channel, s.subject, w.Publishing)
	}
	return errors.Join(err, m.Finish(err))
}

// amqpReceiver is what the SDK receives through.
type amqpReceiver <-chan amqp.Delivery

func (r amqpReceiver) Receive(ctx context.Context) (binding.Message, error) {
	select {
	case d, ok := <-r:
		if ok {
			return newAMQPEvent(&d), nil
		}
	case <-ctx.Done():
	}
	return nil, io.EOF
}
