package kafka_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// each does f for n numbers from several goroutines.
func each(b *testing.B, goroutines, n int, f func(n int64) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range goroutines {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := f(i); err != nil {
					b.Errorf("sending: %v; want nil", err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// BenchmarkSend is messages of 200 bytes, each confirmed to its sender, beside the client library alone: with the same
// acks, headers, partitions and linger. Both take turns, so that what else the machine does meets both.
func BenchmarkSend(b *testing.B) {
	s := used(b)
	body := make([]byte, 200)
	key := func(n int64) string { return fmt.Sprintf("key-%d", n%1000) }
	c := transport.Channel{Address: "bench.v1.queue", Pattern: transport.Queue, Partitions: 8}
	broker := open(b, s, prefix())
	declare(b, broker, c)
	ours := func(n int64) error {
		e := &transport.Envelope{ID: fmt.Sprintf("m-%d", n), Source: "bench", Address: c.Address, Key: key(n), Body: body}
		return broker.Send(b.Context(), []*transport.Envelope{e})[0].Err
	}
	topic := prefix()
	cl := raw(b, s, kgo.ProducerLinger(0))
	if _, err := kadm.NewClient(cl).CreateTopic(b.Context(), 8, 1, nil, topic); err != nil {
		b.Fatal(err)
	}
	theirs := func(n int64) error {
		return cl.ProduceSync(b.Context(), &kgo.Record{
			Topic: topic, Partition: int32(c.Partition(key(n))), Key: []byte(key(n)), Value: body,
			Headers: []kgo.RecordHeader{
				{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_id", Value: fmt.Appendf(nil, "m-%d", n)},
				{Key: "ce_source", Value: []byte("bench")}, {Key: "ce_type", Value: []byte(c.Address)}, {Key: "ce_subject", Value: []byte(key(n))},
			},
		}).FirstErr()
	}
	each(b, 64, 1000, ours) // connections and metadata
	each(b, 64, 1000, theirs)
	for _, goroutines := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			const windows = 8
			n := max(b.N/windows, 1)
			var parley, alone time.Duration
			for range windows {
				parley += each(b, goroutines, n, ours)
				alone += each(b, goroutines, n, theirs)
			}
			b.ReportMetric(float64(windows*n)/parley.Seconds(), "msg/s")
			b.ReportMetric(float64(windows*n)/alone.Seconds(), "raw-msg/s")
			b.ReportMetric(alone.Seconds()/parley.Seconds(), "ratio")
		})
	}
}

// BenchmarkReceive is deliveries settled by one Receive.
func BenchmarkReceive(b *testing.B) {
	broker := open(b, used(b), prefix())
	c := transport.Channel{Address: "bench.v1.queue", Pattern: transport.Queue, Partitions: 8}
	declare(b, broker, c)
	for n := 0; n < b.N; {
		var batch []*transport.Envelope
		for ; n < b.N && len(batch) < 512; n++ {
			batch = append(batch, &transport.Envelope{
				ID: fmt.Sprintf("m-%d", n), Source: "bench", Address: c.Address, Key: fmt.Sprintf("key-%d", n%1000), Body: make([]byte, 200),
			})
		}
		send(b, broker, batch...)
	}
	b.ResetTimer()
	x := transporttest.StartReceiving(b, broker, transport.Route{Channel: c, Credit: transport.NewCredit(1000)})
	x.Done(b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.StopTimer()
	x.Stop()
}
