package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
)

// mill is Watermill on any broker: its publisher and subscribers, without the router, which would cost more.
type mill struct {
	publisher message.Publisher
	subscribe func(q queue) (message.Subscriber, error) // that whoever asked closes
	queues    queues
	// lanes are the topics of an ordered queue, each with a subscription of its own, to one of which a key belongs by its
	// hash; 0 = the queue is one topic.
	lanes int
}

// queues is the part of a raw client that makes and deletes queues.
type queues interface {
	create(ctx context.Context, q queue) error
	remove(ctx context.Context, q queue) error
	close(ctx context.Context) error
}

// millKey is the metadata that has the key of a message.
const millKey = "key"

func (m *mill) create(ctx context.Context, q queue) error { return m.each(ctx, q, m.queues.create) }

func (m *mill) publish(ctx context.Context, q queue, key string, body []byte) error {
	msg := message.NewMessage(watermill.NewUUID(), body)
	msg.Metadata.Set(millKey, key)
	msg.SetContext(ctx)
	topics := m.topics(q)
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash never fails
	return m.publisher.Publish(topics[int(h.Sum32())%len(topics)], msg)
}

// consume handles each message in a goroutine of its own, as Watermill's router does. How many there are at once, and
// whether a key keeps its order, is up to the subscriptions: one does not go on before its message is acknowledged.
func (m *mill) consume(ctx context.Context, q queue, in intake) error {
	subscriber, err := m.subscribe(q)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	for _, topic := range m.topics(q) {
		messages, failed := subscriber.Subscribe(ctx, topic)
		if failed != nil {
			err = fmt.Errorf("subscribe %s: %w", topic, failed)
			break
		}
		running.Go(func() {
			for msg := range messages {
				running.Go(func() {
					in.handle(msg.Payload)
					msg.Ack()
				})
			}
		})
	}
	if err == nil {
		in.ready()
		<-ctx.Done()
	}
	err = errors.Join(err, subscriber.Close())
	running.Wait()
	return err
}

func (m *mill) remove(ctx context.Context, q queue) error { return m.each(ctx, q, m.queues.remove) }

func (m *mill) close(ctx context.Context) error {
	return errors.Join(m.publisher.Close(), m.queues.close(ctx))
}

// each calls f with each topic of a queue.
func (m *mill) each(ctx context.Context, q queue, f func(context.Context, queue) error) error {
	var errs []error
	for _, topic := range m.topics(q) {
		errs = append(errs, f(ctx, queue{topic, q.ordered}))
	}
	return errors.Join(errs...)
}

func (m *mill) topics(q queue) []string {
	if !q.ordered || m.lanes == 0 {
		return []string{q.name}
	}
	all := make([]string, m.lanes)
	for i := range all {
		all[i] = q.name + "-" + strconv.Itoa(i)
	}
	return all
}

// quiet is a logger for Watermill that says nothing.
func quiet() watermill.LoggerAdapter { return watermill.NopLogger{} }
