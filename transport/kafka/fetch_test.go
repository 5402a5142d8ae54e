package kafka

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// What the client has fetched of a partition that is paused is thrown away, so it must not come to that while lanes are
// emptied side by side, however much one fetch brings.
func TestOnlyALaneThatHoldsUpOthersIsPaused(t *testing.T) {
	t.Parallel()
	r := testReceiver()
	var err error
	if r.client, err = kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("another")); err != nil {
		t.Fatal(err)
	}
	defer r.client.Close()
	for p := range int32(4) {
		r.lanes = append(r.lanes, newLane(r, p, 1))
	}
	fetch := func(p int32, bytes int) {
		l := r.lanes[p]
		for from := l.waiting; l.waiting < from+bytes; {
			l.add([]*kgo.Record{{Offset: max(l.mark, 0) + int64(len(l.entries)), Value: make([]byte, 64<<10)}})
		}
	}
	empty := func(p int32, to int) {
		for l := r.lanes[p]; l.waiting > to; {
			e := l.take(time.Now())
			e.state = settled
			l.land(e, transport.Done, time.Now())
		}
	}
	paused := func(when string, want ...int32) {
		t.Helper()
		r.spare()
		got := r.client.PauseFetchPartitions(nil)[r.topic]
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("paused %s = %v; want %v", when, got, want)
		}
	}
	const share = fullBytes / 4
	for p := range int32(4) {
		fetch(p, 2*share)
		empty(p, share-int(p)*lowBytes)
	}
	paused("while all lanes are emptied side by side")
	fetch(0, share)
	fetch(2, share)
	paused("when two are full and the others want more", 0, 2)
	empty(2, lowBytes-1)
	r.feed()
	paused("when one of them has been emptied", 0)
	for i := range r.lanes {
		empty(int32(i), 0)
	}
	r.feed()
	paused("when all are empty")
}
