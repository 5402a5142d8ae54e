package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// parleyClient is a network's broker with package delivery above it: all that is between a verb and a broker, and
// between a broker and a handler, but for contracts, codecs and the ledger.
type parleyClient struct {
	net        *parley.Network
	partitions int    // of an ordered queue
	ids        string // begin of them
	last       atomic.Int64
}

func openParley(ctx context.Context, address string) (client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	c := &parleyClient{partitions: parley.DefaultPartitions, ids: rand.Text()[:8] + "-"}
	if u.Scheme == "kafka" {
		c.partitions = kafkaOrderedPartitions
	}
	if c.net, err = openConsenting(ctx, address); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *parleyClient) create(ctx context.Context, q queue) error {
	return delivery.Declare(ctx, c.net.Messages, []transport.Channel{c.channel(q)})
}

func (c *parleyClient) publish(ctx context.Context, q queue, key string, body []byte) error {
	e := &transport.Envelope{
		ID: c.ids + strconv.FormatInt(c.last.Add(1), 10), Source: "bench", Address: q.name, Key: key,
		ContentType: "application/octet-stream", Time: time.Now(), Body: body,
	}
	return delivery.Send(ctx, c.net.Messages, []*transport.Envelope{e})[0].Err
}

func (c *parleyClient) consume(ctx context.Context, q queue, in intake) error {
	consumer, err := delivery.New(c.net.Messages, nil, delivery.Subscription{
		Channel: c.channel(q), Service: "bench", Style: "command", Concurrency: in.workers,
		Handle: func(_ context.Context, e *transport.Envelope) error {
			in.handle(e.Body)
			return nil
		},
	})
	if err != nil {
		return err
	}
	return consumer.Run(ctx, in.ready)
}

// remove does nothing: a channel is for ever.
func (c *parleyClient) remove(context.Context, queue) error { return nil }

func (c *parleyClient) close(ctx context.Context) error { return c.net.Close(ctx) }

func (c *parleyClient) channel(q queue) transport.Channel {
	channel := transport.Channel{Address: q.name, Pattern: transport.Queue}
	if q.ordered {
		channel.Partitions = c.partitions
	}
	return channel
}
