package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitions of a topic, the same for all who are compared. Watermill handles as many messages at once as a topic has
// partitions; so the ratio to it depends on their number.
const (
	kafkaPartitions        = 8
	kafkaOrderedPartitions = 4
)

// metadataAge lets the clients see a new topic soon; with their defaults of some seconds, each would begin with that wait.
const metadataAge = 100 * time.Millisecond

// kafkaClient is franz-go as one would write it for speed: acks=all, idempotent, one client for all goroutines, and
// records that are sent as soon as the one before is on its way.
type kafkaClient struct {
	kafkaTopics
	brokers  []string
	producer *kgo.Client
}

func openKafka(ctx context.Context, address string) (client, error) {
	brokers, err := kafkaBrokers(address)
	if err != nil {
		return nil, err
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ProducerLinger(0), kgo.MetadataMinAge(metadataAge))
	if err != nil {
		return nil, err
	}
	if err := producer.Ping(ctx); err != nil {
		producer.Close()
		return nil, err
	}
	return &kafkaClient{kafkaTopics{kadm.NewClient(producer)}, brokers, producer}, nil
}

func (c *kafkaClient) publish(ctx context.Context, q queue, key string, body []byte) error {
	return c.producer.ProduceSync(ctx, &kgo.Record{Topic: q.name, Key: []byte(key), Value: body}).FirstErr()
}

// consume handles one record after the other as a member of a group, and commits what it has handled each few seconds.
func (c *kafkaClient) consume(ctx context.Context, q queue, in intake) error {
	assigned := sync.OnceFunc(in.ready)
	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(c.brokers...), kgo.ConsumerGroup(q.name), kgo.ConsumeTopics(q.name),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitMarks(), kgo.MetadataMinAge(metadataAge),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { assigned() }),
	)
	if err != nil {
		return err
	}
	defer consumer.Close()
	for ctx.Err() == nil {
		fetched := consumer.PollFetches(ctx)
		if err := fetched.Err0(); err != nil && ctx.Err() == nil {
			return err
		}
		fetched.EachRecord(func(r *kgo.Record) {
			in.handle(r.Value)
			consumer.MarkCommitRecords(r)
		})
	}
	return nil
}

// kafkaTopics makes and deletes topics; its client is closed with it.
type kafkaTopics struct{ admin *kadm.Client }

func (t kafkaTopics) create(ctx context.Context, q queue) error {
	partitions := int32(kafkaPartitions)
	if q.ordered {
		partitions = kafkaOrderedPartitions
	}
	if _, err := t.admin.CreateTopic(ctx, partitions, -1, nil, q.name); err != nil { // -1: as many replicas as the cluster says
		return err
	}
	if !poll(ctx, func() bool { return t.led(ctx, q.name, int(partitions)) }) {
		return fmt.Errorf("topic %s: %w", q.name, context.Cause(ctx))
	}
	return nil
}

// led reports whether each partition of a topic has a leader.
func (t kafkaTopics) led(ctx context.Context, topic string, partitions int) bool {
	topics, err := t.admin.ListTopics(ctx, topic)
	if err != nil || topics.Error() != nil || len(topics[topic].Partitions) < partitions {
		return false
	}
	for _, p := range topics[topic].Partitions {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

func (t kafkaTopics) remove(ctx context.Context, q queue) error {
	_, err := t.admin.DeleteTopic(ctx, q.name)
	return err
}

func (t kafkaTopics) close(context.Context) error {
	t.admin.Close()
	return nil
}

// kafkaBrokers are the brokers of kafka://HOST:PORT,HOST:PORT.
func kafkaBrokers(address string) ([]string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Host == "" {
		return nil, errors.New("the network has no host")
	}
	if u.User != nil {
		return nil, fmt.Errorf("%s: the raw client of this program has no means to authenticate", u.Redacted())
	}
	return strings.Split(u.Host, ","), nil
}
