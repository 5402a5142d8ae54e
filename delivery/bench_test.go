package delivery_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// BenchmarkNoOpHandler is messages through a consumer of 16 workers, sent beforehand and not measured: in order within
// 1,000 keys, and without order.
func BenchmarkNoOpHandler(b *testing.B) {
	for _, c := range []struct {
		name    string
		channel transport.Channel
		keys    int
	}{{"keys=1000", keyed, 1000}, {"unordered", queue, 1}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			broker := mem.New(mem.WithDedupe(0)).Process("p").Broker()
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			if err := broker.Declare(ctx, []transport.Channel{c.channel}); err != nil {
				b.Fatal(err)
			}
			for i := range b.N {
				e := &transport.Envelope{ID: "m", Address: c.channel.Address, Key: fmt.Sprint("k", i%c.keys)}
				if r := broker.Send(ctx, []*transport.Envelope{e}); r[0].Err != nil {
					b.Fatal(r[0].Err)
				}
			}
			var handled atomic.Int64
			done := make(chan struct{})
			consumer, err := delivery.New(broker, ledger.Discard, delivery.Subscription{
				Channel: c.channel, Handle: func(context.Context, *transport.Envelope) error {
					if handled.Add(1) == int64(b.N) {
						close(done)
					}
					return nil
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			ended := make(chan error, 1)
			b.ResetTimer()
			go func() { ended <- consumer.Run(ctx, nil) }()
			<-done
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}
