package main

import (
	"context"

	"github.com/IBM/sarama"
	millkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// openKafkaMill is watermill-kafka with sarama and acks=all. A consumer group handles the partitions of a topic side by
// side, and one message of each at a time, so that a key keeps its order.
func openKafkaMill(_ context.Context, address string) (client, error) {
	brokers, err := kafkaBrokers(address)
	if err != nil {
		return nil, err
	}
	by := millkafka.NewWithPartitioningMarshaler(func(_ string, m *message.Message) (string, error) {
		return m.Metadata.Get(millKey), nil
	})
	sending := millkafka.DefaultSaramaSyncPublisherConfig()
	sending.Version = sarama.V2_8_0_0 // the oldest that Kafka 4 still answers in all it needs
	sending.Producer.RequiredAcks = sarama.WaitForAll
	sending.Metadata.Retry.Backoff = metadataAge
	publisher, err := millkafka.NewPublisher(millkafka.PublisherConfig{
		Brokers: brokers, Marshaler: by, OverwriteSaramaConfig: sending,
	}, quiet())
	if err != nil {
		return nil, err
	}
	admin, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, err
	}
	receiving := millkafka.DefaultSaramaSubscriberConfig()
	receiving.Version = sending.Version
	receiving.Metadata.Retry.Backoff = metadataAge
	receiving.Consumer.Offsets.Initial = sarama.OffsetOldest
	return &mill{publisher: publisher, queues: kafkaTopics{kadm.NewClient(admin)},
		subscribe: func(q queue) (message.Subscriber, error) {
			return millkafka.NewSubscriber(millkafka.SubscriberConfig{
				Brokers: brokers, Unmarshaler: by, ConsumerGroup: q.name, OverwriteSaramaConfig: receiving,
			}, quiet())
		},
	}, nil
}
