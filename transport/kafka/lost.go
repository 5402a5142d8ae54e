package kafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// deleted reports whether the cluster says that a topic is not there any more, or is another one of the same name.
func deleted(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}

// topicID is of a topic as this Broker knows it.
func (b *Broker) topicID(topic string) kadm.TopicID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.topics[topic]
}

// learn takes note of a topic's id, and reports whether it was known under another one, that was deleted.
func (b *Broker) learn(topic string, id kadm.TopicID) (another bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, known := b.topics[topic]
	b.topics[topic] = id
	return known && was != id
}

// anew begins again with a cluster that has lost everything. Receivers and the mover find out by themselves that their
// topics are others.
func (b *Broker) anew() {
	b.mu.Lock()
	clear(b.topics)
	b.mu.Unlock()
	b.supersede(b.producer.now())
}

// mend declares channels again whose topics by has not found: senders that repeat what was not sent need not know of it.
// One does so for all that find it out at the same time. The caller is a user of the Broker.
func (b *Broker) mend(by *kgo.Client, channels []transport.Channel) {
	if !b.mending.TryLock() {
		return
	}
	b.users.Go(func() {
		defer b.mending.Unlock()
		ctx, cancel := b.alive(answerLimit)
		defer cancel()
		if b.declare(ctx, channels) == nil { // else who repeats what was not sent comes here again
			b.supersede(by)
		}
	})
}
