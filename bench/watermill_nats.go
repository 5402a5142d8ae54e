package main

import (
	"context"
	"errors"

	millnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// openNATSMill is watermill-nats on JetStream, whose subscribers share what comes and acknowledge without waiting. An
// ordered queue has one of them: several would not keep the order of a key.
func openNATSMill(ctx context.Context, address string) (client, error) {
	streams, err := dialNATS(ctx, address)
	if err != nil {
		return nil, err
	}
	publisher, err := millnats.NewPublisherWithNatsConn(streams.conn, millnats.PublisherPublishConfig{
		Marshaler: &millnats.NATSMarshaler{}, SubjectCalculator: millnats.DefaultSubjectCalculator,
	}, quiet())
	if err != nil {
		return nil, errors.Join(err, streams.close(ctx))
	}
	return &mill{publisher: publisher, queues: streams,
		subscribe: func(q queue) (message.Subscriber, error) {
			conn, err := streams.dial()
			if err != nil {
				return nil, err
			}
			return millnats.NewSubscriberWithNatsConn(conn, millSubscription(q), quiet())
		},
	}, nil
}

func millSubscription(q queue) millnats.SubscriberSubscriptionConfig {
	c := millnats.SubscriberSubscriptionConfig{
		Unmarshaler: &millnats.NATSMarshaler{}, SubscribersCount: millHandlers, QueueGroupPrefix: q.name,
		JetStream: millnats.JetStreamConfig{
			DurablePrefix: q.name, AckAsync: true,
			SubscribeOptions: []nats.SubOpt{nats.DeliverAll(), nats.AckExplicit()},
		},
	}
	if q.ordered {
		c.SubscribersCount = 1
	}
	return c
}
