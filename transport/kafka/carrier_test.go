package kafka

import (
	"container/heap"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestWhatATopicDoesNotTakeIsPutOffTogether(t *testing.T) {
	t.Parallel()
	now := time.Now()
	later := func(topic string) *waiting {
		return &waiting{due: now, record: &kgo.Record{Headers: []kgo.RecordHeader{{Key: headerTopic, Value: []byte(topic)}}}}
	}
	for _, x := range []struct {
		name    string
		closed  map[string]bool
		refused int // that are put off
		most    int
	}{
		{"a topic was deleted", map[string]bool{"gone": true}, 3, maxMoved},
		{"one of the messages is refused", nil, 0, maxMoved / 8},
	} {
		c := newCarrier(&Broker{names: names{"parley"}}, 0)
		c.putBack([]*waiting{later("gone"), later("kept"), later("gone"), later("gone"), later("kept")}, true, x.closed)
		off := 0
		for len(c.heap) > 0 {
			if w := heap.Pop(&c.heap).(*waiting); w.due.After(now) {
				off++
			}
		}
		if off != x.refused || c.most != x.most {
			t.Errorf("%s: %d put off, %d in the next transaction; want %d, %d", x.name, off, c.most, x.refused, x.most)
		}
		c.cancel()
	}
	c := newCarrier(&Broker{names: names{"parley"}}, 0)
	defer c.cancel()
	alone := later("kept")
	c.putBack([]*waiting{alone}, true, nil)
	if !alone.due.After(now) {
		t.Error("a message that is refused alone is tried at once; want it put off")
	}
}
