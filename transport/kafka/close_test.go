package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestCloseDoesNotOutliveItsContextWithoutACluster(t *testing.T) {
	t.Parallel()
	s := server(t, nil)
	b, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{address(s)}, Prefix: prefix()})
	if err != nil {
		t.Fatal(err)
	}
	c := transport.Channel{Address: "close.v1.queue", Pattern: transport.Queue, Partitions: 4}
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	first := envelope(c, "k")
	first.NotBefore = time.Now().Add(time.Millisecond)
	send(t, b, first)
	x.Done(1) // what is delayed is moved from now on
	due := time.Now().Add(3 * time.Second)
	var later []*transport.Envelope
	for i := range 100 {
		e := envelope(c, fmt.Sprint(i))
		e.NotBefore = due
		later = append(later, e)
	}
	send(t, b, later...)
	send(t, b, envelope(c, "k"))
	held := x.Next()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Until(due.Add(time.Second))) // transactions are begun
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	begin := time.Now()
	if err := b.Close(ctx); err == nil {
		t.Error("Close = nil without a cluster; want an error that tells what was given up")
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("Close with a second took %v; want little more", took)
	}
	if err := <-x.Ended; !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Receive = %v; want ErrClosed, as a delivery was not settled", err)
	}
	held.Settle(transport.Done)
}

// While a member hands over, all others of its group wait to join.
func TestNeitherCloseNorReceiveWaitsForOthersToJoin(t *testing.T) {
	t.Parallel()
	s := used(t)
	p := prefix()
	c := transport.Channel{Address: "join.v1.queue", Pattern: transport.Queue, Partitions: 4}
	slow, left, closed := open(t, s, p), open(t, s, p), open(t, s, p)
	declare(t, slow, c)
	for _, k := range keysOf(c) {
		send(t, slow, envelope(c, k))
	}
	x := transporttest.StartReceiving(t, slow, transport.Route{Channel: c})
	var held []*transport.Delivery
	for range 4 {
		held = append(held, x.Next())
	}
	ctx, cancel := context.WithCancel(t.Context())
	join := func(ctx context.Context, b *kafka.Broker) <-chan error {
		ended := make(chan error, 1)
		go func() {
			ended <- b.Receive(ctx, transport.Route{Channel: c}, func(d *transport.Delivery) { d.Settle(transport.Return) })
		}()
		return ended
	}
	first := join(ctx, left)
	yielding(t, held) // so that the group begins anew with whoever else joins
	second := join(t.Context(), closed)
	time.Sleep(2 * time.Second)
	begin := time.Now()
	cancel()
	soon, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if err := closed.Close(soon); err == nil {
		t.Error("Close = nil while a member waits to join; want an error that tells that it was given up")
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("Close with a second took %v; want little more", took)
	}
	<-second
	if err := <-first; err != nil {
		t.Errorf("Receive = %v; want nil", err)
	}
	if took := time.Since(begin); took > transport.HandOver/2+5*time.Second {
		t.Errorf("Receive returned %v after its end; want it not to wait for a hand-over, which takes %v", took, transport.HandOver)
	}
	for _, d := range held {
		d.Settle(transport.Done)
	}
	x.Stop()
}
