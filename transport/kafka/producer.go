package kafka

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// producer sends. The client library holds on to the topics that it found first, by their ids; and to a number that the
// cluster gave it, and counts what it sends, by which the cluster tells repeats. To have it forget a topic would be
// wrong: it would count from the beginning, and the cluster take new messages for repeats. So would one that has lost
// everything, and gives the same number to others. Where a topic is another one than it was, another client sends.
type producer struct {
	mu     sync.RWMutex // held while something is handed to client, which gets nothing once it was replaced
	client *kgo.Client
}

// use does f with the client. What that has not sent when it is replaced fails.
func (p *producer) use(f func(*kgo.Client)) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	f(p.client)
}

// now is the client for who waits no longer than a context.
func (p *producer) now() *kgo.Client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.client
}

// newProducer makes a client that sends.
func (o *Options) newProducer() (*kgo.Client, error) {
	return o.client(
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), // what is sent while others are on their way gathers by itself
		kgo.ProduceRequestTimeout(answerLimit),
		kgo.MaxBufferedRecords(maxBufferedNo),
		kgo.MaxBufferedBytes(maxBuffered),
	)
}

// supersede has another client send in the place of one, unless that has happened. What that has not sent stays open: its
// senders repeat it. The caller is a user of the Broker.
func (b *Broker) supersede(was *kgo.Client) {
	b.producer.mu.Lock()
	defer b.producer.mu.Unlock()
	if b.producer.client != was {
		return
	}
	cl, err := b.options.newProducer()
	if err != nil { // the same options made another client
		return
	}
	b.producer.client = cl
	b.users.Go(was.Close)
}
