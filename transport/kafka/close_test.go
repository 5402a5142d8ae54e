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
