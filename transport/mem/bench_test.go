package mem_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

// BenchmarkSendAndReceive is the way of one message of 256 bytes through a channel, settled at once.
func BenchmarkSendAndReceive(b *testing.B) {
	for _, c := range []transport.Channel{
		{Address: "queue", Pattern: transport.Queue},
		{Address: "keyed", Pattern: transport.Queue, Partitions: 8},
		{Address: "topic", Pattern: transport.Topic},
		{Address: "ring", Pattern: transport.Stream, RetainBytes: 1 << 20},
	} {
		b.Run(c.Address, func(b *testing.B) {
			broker := mem.New().Process("p").Broker()
			if err := broker.Declare(b.Context(), []transport.Channel{c}); err != nil {
				b.Fatal(err)
			}
			route := transport.Route{Channel: c}
			if c.Pattern != transport.Queue {
				route.Group = "g"
			}
			ready := make(chan struct{})
			route.Ready = func() { close(ready) }
			ctx, cancel := context.WithCancel(b.Context())
			ended, all, n := make(chan error, 1), make(chan struct{}), 0
			go func() {
				ended <- broker.Receive(ctx, route, func(d *transport.Delivery) {
					d.Settle(transport.Done)
					if n++; n == b.N {
						close(all)
					}
				})
			}()
			<-ready
			b.ReportAllocs()
			b.ResetTimer()
			body := make([]byte, 256)
			for i := range b.N {
				e := &transport.Envelope{ID: strconv.Itoa(i), Key: strconv.Itoa(i % 64), Address: c.Address, Body: body}
				if r := broker.Send(ctx, []*transport.Envelope{e})[0]; r.Err != nil {
					b.Fatal(r.Err)
				}
			}
			if c.Pattern != transport.Stream { // a ring may have dropped some
				<-all
			}
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRequest is one call from 64 goroutines at a time.
func BenchmarkRequest(b *testing.B) {
	fabric := mem.New()
	caller, callee := fabric.Process("caller").Caller(), fabric.Process("callee").Caller()
	ctx, cancel := context.WithCancel(b.Context())
	ready, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- callee.Answer(ctx, []transport.Endpoint{{Address: quote, Answer: echo}}, func(peer string) { ready <- peer })
	}()
	peer := <-ready
	b.ReportAllocs()
	b.ResetTimer()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := caller.Request(ctx, peer, &transport.Envelope{ID: "q", Address: quote, Body: []byte("{}")}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
