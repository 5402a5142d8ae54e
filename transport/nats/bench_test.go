package nats_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// BenchmarkSend is confirmed messages, each durable when Send returns, by how many goroutines send side by side. One
// goroutine is the price of an fsync per message.
func BenchmarkSend(b *testing.B) {
	for _, goroutines := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			broker := open(b, startServer(b, embedded.Options{}))
			c := transport.Channel{Address: "bench.v1.queue", Pattern: transport.Queue, Partitions: 8}
			declare(b, broker, c)
			body := make([]byte, 200)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range goroutines {
				wg.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						e := &transport.Envelope{
							ID: fmt.Sprintf("%s-%d-%d", b.Name(), b.N, n), Source: "bench", Address: c.Address,
							Key: fmt.Sprintf("key-%d", n%1000), Body: body,
						}
						if r := broker.Send(b.Context(), []*transport.Envelope{e})[0]; r.Err != nil {
							b.Errorf("receipt: %v; want none", r.Err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkReceive is deliveries settled by one Receive.
func BenchmarkReceive(b *testing.B) {
	broker := open(b, startServer(b, embedded.Options{}))
	c := transport.Channel{Address: "bench.v1.queue", Pattern: transport.Queue, Partitions: 8}
	declare(b, broker, c)
	for n := 0; n < b.N; {
		var batch []*transport.Envelope
		for ; n < b.N && len(batch) < 512; n++ {
			batch = append(batch, &transport.Envelope{ID: fmt.Sprintf("m-%d", n), Source: "bench", Address: c.Address, Body: []byte("{}")})
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
