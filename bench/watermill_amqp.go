package main

import (
	"context"
	"errors"

	millamqp "github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	"github.com/ThreeDotsLabs/watermill/message"
)

const (
	// millHandlers are subscriptions, each of which handles one message at a time.
	millHandlers = 16
	// millChannels are as many as there are goroutines that publish: each waits for its confirmation on one.
	millChannels = 64
	// millPrefetch is how many messages wait in each subscription.
	millPrefetch = 256
)

// openAMQPMill is watermill-amqp with a pool of channels, and with confirmations.
func openAMQPMill(ctx context.Context, url string) (client, error) {
	config := confirmingAMQPMill(url)
	config.Publish.ChannelPoolSize = millChannels
	config.Consume.Qos.PrefetchCount = millPrefetch
	return newAMQPMill(ctx, url, config)
}

// openAMQPMillDefaults is the same without a pool: it opens a channel for each message.
func openAMQPMillDefaults(ctx context.Context, url string) (client, error) {
	return newAMQPMill(ctx, url, confirmingAMQPMill(url))
}

func confirmingAMQPMill(url string) millamqp.Config {
	config := millamqp.NewDurableQueueConfig(url)
	config.Queue.Arguments = quorum()
	config.Publish.ConfirmDelivery = true
	return config
}

// newAMQPMill makes an ordered queue of as many queues as there are handlers, each with one: several handlers of one would keep
// no order.
func newAMQPMill(ctx context.Context, url string, config millamqp.Config) (client, error) {
	raw, err := openAMQP(ctx, url)
	if err != nil {
		return nil, err
	}
	publisher, err := millamqp.NewPublisher(config, quiet())
	if err != nil {
		return nil, errors.Join(err, raw.close(ctx))
	}
	return &mill{publisher: publisher, queues: raw, lanes: millHandlers,
		subscribe: func(queue) (message.Subscriber, error) { return millamqp.NewSubscriber(config, quiet()) },
	}, nil
}
