package collector

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport/mem"
)

// BenchmarkWriter records from 8 goroutines, each of which waits for the confirmation of every 256th transition.
func BenchmarkWriter(b *testing.B) {
	f := mem.New()
	w := ledger.NewWriter(f.Process("p").Broker(), "p")
	rec := ledger.As(w, "payments", "payments-0123456789")
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		t := ledger.Transition{
			Kind: ledger.Done, ID: "01890b7e-1111-7222-8333-444455556666", Address: "payments.v1.charge", Style: ledger.StyleCommand,
			Key: "order-1", Source: "orders", Group: "payments", Attempt: 1, Attempts: 6, Took: time.Millisecond,
		}
		for i := 1; pb.Next(); i++ {
			if i%256 != 0 {
				rec.Record(t, nil)
				continue
			}
			done := make(chan struct{})
			rec.Record(t, func() { close(done) })
			<-done
		}
	})
	if err := w.Close(context.Background()); err != nil {
		b.Error(err)
	}
	recorded, dropped := w.Stats()
	b.ReportMetric(float64(recorded)/b.Elapsed().Seconds(), "transitions/s")
	b.ReportMetric(float64(dropped), "dropped")
}

// BenchmarkCollector is the way of a transition from Record to a trail that can be asked for.
func BenchmarkCollector(b *testing.B) {
	f := mem.New()
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	c := New(f.Process("dev").Broker())
	ready := make(chan struct{})
	parts.Go(func() {
		if err := c.Run(ctx, func() { close(ready) }); err != nil {
			b.Error(err)
		}
	})
	<-ready
	w := ledger.NewWriter(f.Process("p").Broker(), "p")
	rec := ledger.As(w, "payments", "payments-0123456789")
	n := 0
	confirmed := make(chan struct{}, 4096)
	for b.Loop() {
		n++
		confirmed <- struct{}{} // at most so many on their way
		rec.Record(ledger.Transition{
			Kind: ledger.Accepted, ID: "01890b7e-1111-7222-8333-" + strconv.Itoa(n), Address: "payments.v1.charge", Style: ledger.StyleCommand,
			Source: "orders", Attempt: 1, Expected: []string{"payments"},
		}, func() { <-confirmed })
	}
	last := "01890b7e-1111-7222-8333-" + strconv.Itoa(n)
	if _, err := c.Follow(ctx, FollowRequest{ID: last, Since: 1, Wait: "10s"}); err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "transitions/s")
	if err := w.Close(ctx); err != nil {
		b.Error(err)
	}
	stop()
	parts.Wait()
}
