package interop_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
)

// kafka is a stranger on Apache Kafka.
type kafka struct {
	prefix   string
	brokers  []string
	producer sarama.SyncProducer
	readers  []*kafka_sarama.Consumer
}

func joinKafka(url, prefix string) (stranger, error) {
	brokers := strings.Split(strings.TrimPrefix(url, "kafka://"), ",")
	config := sarama.NewConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true                                              // or there is no SyncProducer
	config.Producer.Partitioner = sarama.NewCustomPartitioner(sarama.WithHashUnsigned()) // of FNV-1a
	producer, err := sarama.NewSyncProducer(brokers, config)
	return &kafka{prefix: prefix, brokers: brokers, producer: producer}, err
}

func (k *kafka) topic(c channel) string { return k.prefix + "." + c.address }

func (k *kafka) sender(c channel, subject string) (any, error) {
	sender, err := kafka_sarama.NewSenderFromSyncProducer(k.topic(c), k.producer)
	return &keyedSender{sender, sarama.StringEncoder(subject)}, err
}

// receiver is a consumer group of the stranger's own, registered so that what others have handled is kept for it. It begins
// with the oldest that is kept.
func (k *kafka) receiver(c channel) (any, error) {
	registration := fmt.Sprintf(`{"format":1,"address":%q,"group":"stranger"}`, c.address)
	m := &sarama.ProducerMessage{Topic: k.prefix + ".REGISTRY", Value: sarama.StringEncoder(registration)}
	if _, _, err := k.producer.SendMessage(m); err != nil {
		return nil, err
	}
	config := sarama.NewConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	reader, err := kafka_sarama.NewConsumer(k.brokers, config, k.topic(c)+".stranger", k.topic(c))
	if err == nil {
		k.readers = append(k.readers, reader)
	}
	return reader, err
}

func (k *kafka) blurt(_ context.Context, c channel, subject string, body []byte) error {
	m := &sarama.ProducerMessage{Topic: k.topic(c), Key: sarama.StringEncoder(subject), Value: sarama.ByteEncoder(body)}
	_, _, err := k.producer.SendMessage(m)
	return err
}

func (k *kafka) decoded(attribute string) (string, error) { return attribute, nil }

func (k *kafka) close() {
	_ = k.producer.Close() // nothing is on its way
	for _, reader := range k.readers {
		_ = reader.Close(context.Background()) // it stores nothing then
	}
}

// keyedSender gives a record its key, by which the producer chooses the partition.
type keyedSender struct {
	*kafka_sarama.Sender
	key sarama.Encoder
}

func (s *keyedSender) Send(ctx context.Context, m binding.Message, transformers ...binding.Transformer) error {
	return s.Sender.Send(kafka_sarama.WithMessageKey(ctx, s.key), m, transformers...)
}
