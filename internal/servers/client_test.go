package servers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/internal/servers"
)

// client speaks to a server by the broker's usual client, as a stranger to this module would.
type client struct {
	put func(ctx context.Context, url, text string) error // stores a text in a place that is made for it, confirmed
	get func(ctx context.Context, url string) (string, error)
	// settle waits until the place itself would outlive a kill, where that is not so once the text is confirmed; nil = it is.
	settle func(ctx context.Context, dir string) error
}

const place = "parley-test"

var clients = map[servers.Kind]client{
	servers.RabbitMQ: {putRabbitMQ, getRabbitMQ, settleRabbitMQ},
	servers.Kafka:    {putKafka, getKafka, nil},
	servers.NATS:     {putNATS, getNATS, nil},
}

func putRabbitMQ(ctx context.Context, url, text string) error {
	return withChannel(ctx, url, func(ch *amqp.Channel) error {
		if _, err := ch.QueueDeclare(place, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			return err
		}
		if err := ch.Confirm(false); err != nil {
			return err
		}
		message := amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(text)}
		receipt, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", place, true, false, message)
		if err != nil {
			return err
		}
		if ok, err := receipt.WaitContext(ctx); err != nil || !ok {
			return fmt.Errorf("confirmed = %v, %w", ok, err)
		}
		return nil
	})
}

// settleRabbitMQ waits for a file of RabbitMQ 3.10 that has a new quorum queue half a second late: without it a node that
// was killed throws away all that the queue has confirmed, and the queue never answers again.
func settleRabbitMQ(ctx context.Context, dir string) error {
	for {
		files, err := filepath.Glob(filepath.Join(dir, "data", "*", "quorum", "*", "names.dets"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if b, err := os.ReadFile(file); err != nil || bytes.Contains(b, []byte(place)) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no names.dets of %v has %s: %w", files, place, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// getRabbitMQ asks again, on a new connection, where nothing comes: a quorum queue elects its leader after the node serves.
func getRabbitMQ(ctx context.Context, url string) (text string, err error) {
	for ctx.Err() == nil {
		var found bool
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		err = withChannel(within, url, func(ch *amqp.Channel) error {
			d, ok, err := ch.Get(place, true)
			text, found = string(d.Body), ok
			return err
		})
		cancel()
		if found {
			return text, err
		}
	}
	return "", fmt.Errorf("the queue stays empty: %w: %w", ctx.Err(), err)
}

// withChannel does something before ctx is done, or its connection ends.
func withChannel(ctx context.Context, url string, do func(*amqp.Channel) error) error {
	c, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	done := make(chan error)
	go func() { // ends with the connection at the latest
		ch, err := c.Channel()
		if err == nil {
			err = do(ch)
		}
		done <- err
	}()
	select {
	case err = <-done:
		_ = c.Close() // everything has been confirmed
		return err
	case <-ctx.Done():
		_ = c.CloseDeadline(time.Now()) // it does not answer
		return errors.Join(ctx.Err(), <-done)
	}
}

func putKafka(ctx context.Context, url, text string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.TrimPrefix(url, "kafka://")))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopic(ctx, 1, 1, nil, place); err != nil {
		return err
	}
	return c.ProduceSync(ctx, &kgo.Record{Topic: place, Value: []byte(text)}).FirstErr()
}

func getKafka(ctx context.Context, url string) (string, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.TrimPrefix(url, "kafka://")), kgo.ConsumeTopics(place),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return "", err
	}
	defer c.Close()
	fetched := c.PollFetches(ctx)
	if err := fetched.Err(); err != nil {
		return "", err
	}
	return string(fetched.Records()[0].Value), nil
}

func putNATS(ctx context.Context, url, text string) error {
	return withJetStream(ctx, url, func(js jetstream.JetStream) error {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: place, Subjects: []string{place}}); err != nil {
			return err
		}
		_, err := js.Publish(ctx, place, []byte(text))
		return err
	})
}

func getNATS(ctx context.Context, url string) (text string, err error) {
	err = withJetStream(ctx, url, func(js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, place)
		if err != nil {
			return err
		}
		m, err := stream.GetLastMsgForSubject(ctx, place)
		if err != nil {
			return err
		}
		text = string(m.Data)
		return nil
	})
	return text, err
}

func withJetStream(ctx context.Context, url string, do func(jetstream.JetStream) error) error {
	deadline, _ := ctx.Deadline() // every test has one
	c, err := nats.Connect(url, nats.Timeout(time.Until(deadline)))
	if err != nil {
		return err
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		return err
	}
	return do(js)
}
