package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// What a delayed message carries for who moves it, which may be a process that does not know its channel.
const (
	headerTopic     = "parley-topic"
	headerPartition = "parley-partition"
	headerKey       = "parley-key"
	headerDue       = "parley-due" // nanoseconds since 1970
)

func delayConfig() map[string]string {
	return map[string]string{
		"cleanup.policy":            "compact",
		"max.message.bytes":         strconv.Itoa(maxMessage),
		"min.cleanable.dirty.ratio": "0.1",
		"segment.bytes":             strconv.Itoa(16 << 20),
		"segment.ms":                strconv.Itoa(int(time.Hour.Milliseconds())),
		"delete.retention.ms":       strconv.Itoa(int(time.Hour.Milliseconds())), // longer than reading everything takes
	}
}

// postpone makes r wait for its time in the topic of delayed messages, under its identity: a repetition replaces the first.
func (b *Broker) postpone(e *transport.Envelope, r *kgo.Record, now time.Time) error {
	if e.NotBefore.Sub(now) > MaxDelay {
		return fmt.Errorf("%w: not before %v: want at most %v from now", transport.ErrRefused, e.NotBefore, MaxDelay)
	}
	r.Headers = append(r.Headers,
		kgo.RecordHeader{Key: headerTopic, Value: []byte(r.Topic)},
		kgo.RecordHeader{Key: headerPartition, Value: strconv.AppendInt(nil, int64(r.Partition), 10)},
		kgo.RecordHeader{Key: headerDue, Value: strconv.AppendInt(nil, e.NotBefore.UnixNano(), 10)},
		kgo.RecordHeader{Key: headerKey, Value: r.Key},
	)
	r.Topic, r.Partition, r.Key = b.names.delay(), delayPartition(e.Address, e.ID), []byte(identity(e))
	return nil
}

// waiting is a delayed message in memory.
type waiting struct {
	due    time.Time
	offset int64 // those of one moment keep their order
	record *kgo.Record
	gone   bool // it was moved, cancelled or replaced
	tries  int  // how often the cluster refused to have it moved
}

// postpone has w tried again a while later: after a second, and twice as long each time, up to about a minute.
func (w *waiting) postpone(now time.Time) {
	w.due = now.Add(time.Second << min(w.tries, 6))
	w.tries++
}

// readWaiting reads a record of the topic of delayed messages.
func readWaiting(r *kgo.Record) (*waiting, error) {
	for _, h := range r.Headers {
		if h.Key == headerDue {
			n, err := strconv.ParseInt(string(h.Value), 10, 64)
			return &waiting{due: time.Unix(0, n), offset: r.Offset, record: r}, err
		}
	}
	return nil, errors.New("a record without its time")
}

// moved is the record that a delayed message becomes when it is due.
func (w *waiting) moved() *kgo.Record {
	r := &kgo.Record{Value: w.record.Value}
	for _, h := range w.record.Headers {
		switch h.Key {
		case headerTopic:
			r.Topic = string(h.Value)
		case headerPartition:
			n, _ := strconv.ParseInt(string(h.Value), 10, 32) // ours; another's goes to the first partition
			r.Partition = int32(n)
		case headerKey:
			r.Key = h.Value
		case headerDue:
		default:
			r.Headers = append(r.Headers, h)
		}
	}
	return r
}

// CancelDelayed implements [transport.Operator]. It removes all copies that wait under the id, for which it reads all
// that waits beside them. A message whose time comes while it is being cancelled may be delivered all the same.
func (b *Broker) CancelDelayed(ctx context.Context, c transport.Channel, id string) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	if err := b.cancel(ctx, c.Address, id); err != nil {
		return fmt.Errorf("kafka: cancel delayed message %s to %s: %w", id, c.Address, err)
	}
	return nil
}

func (b *Broker) cancel(ctx context.Context, address, id string) error {
	found, err := b.waitingCopies(ctx, address, id)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("nothing waits under that id: %w", transport.ErrNotFound)
	}
	var stones []*kgo.Record
	for key := range found {
		stones = append(stones, &kgo.Record{Topic: b.names.delay(), Partition: delayPartition(address, id), Key: []byte(key)})
	}
	return b.producer.now().ProduceSync(ctx, stones...).FirstErr()
}

// waitingCopies are the identities of the copies of a message that wait.
func (b *Broker) waitingCopies(ctx context.Context, address, id string) (map[string]bool, error) {
	topic, partition := b.names.delay(), delayPartition(address, id)
	ends, err := b.admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	end, ok := ends.Lookup(topic, partition)
	if !ok || end.Offset == 0 {
		return nil, nil
	}
	cl, err := b.options.client(kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	found := make(map[string]bool)
	for next := int64(0); next < end.Offset; {
		fs := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, e := range fs.Errors() {
			if denied(e.Err) || deleted(e.Err) {
				return nil, e.Err
			}
		}
		fs.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			switch key := string(r.Key); {
			case r.Attrs.IsControl() || !sameID(key, address, id):
			case r.Value == nil:
				delete(found, key)
			default:
				found[key] = true
			}
		})
	}
	return found, nil
}

// delayed is a heap, the message that is due first at its root.
type delayed []*waiting //nolint:recvcheck // as container/heap has it

func (d delayed) Len() int      { return len(d) }
func (d delayed) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d delayed) Less(i, j int) bool {
	if c := d[i].due.Compare(d[j].due); c != 0 {
		return c < 0
	}
	return d[i].offset < d[j].offset
}
func (d *delayed) Push(w any) { *d = append(*d, w.(*waiting)) }
func (d *delayed) Pop() any {
	last := len(*d) - 1
	w := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return w
}
