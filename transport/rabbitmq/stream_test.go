package rabbitmq_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/rabbitmq"
	"github.com/parley-io/parley/transport/transporttest"
)

func streamGroupGoesOn(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Stream, 0)
	route := transport.Route{Channel: c, Group: "g", Credit: transport.NewCredit(10)}
	x := transporttest.StartReceiving(t, b, route)
	send(t, b, c, 0, 20)
	first := x.Done(7)
	x.Drop()
	waiting, _, err := b.Backlog(t.Context(), c, "g")
	if err != nil || waiting != 13 {
		t.Errorf("Backlog = %d, %v; want 13", waiting, err)
	}
	again := transporttest.StartReceiving(t, b, route)
	rest := again.Done(13)
	if first[6] != "id-6" || rest[0] != "id-7" || rest[12] != "id-19" {
		t.Errorf("got %v, then %v; want id-0 to id-6, then id-7 to id-19", first, rest)
	}
	again.Stop()
}

func deletedStream(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Stream, 0)
	group := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	reader := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	send(t, b, c, 0, 5)
	group.Done(5)
	reader.Done(5)
	group.Stop()
	if _, err := dial(t, s).QueueDelete("parley."+c.Address, false, false, false); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for n := 100; n < 108; { // more than there were: the stored position is inside again
		err := b.Send(t.Context(), []*transport.Envelope{envelope(c, n)})[0].Err
		if err == nil {
			n++
		} else if !errors.Is(err, transport.ErrNotSent) || time.Now().After(deadline) {
			t.Fatalf("Send to a deleted stream = %v; want it declared again", err)
		}
	}
	again := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	for who, x := range map[string]*transporttest.Receiving{"group": again, "reader": reader} {
		if ids := x.Done(8); ids[0] != "id-100" || ids[7] != "id-107" {
			t.Errorf("the %s got %v of the new stream; want id-100 to id-107", who, ids)
		}
		x.Stop()
	}
}

func readyMeansReady(t *testing.T, s *servers.Server) {
	one, two := open(t, s.URL), open(t, s.URL)
	var rounds sync.WaitGroup
	for round := range 12 {
		c := channel(t, one, transport.Stream, 0)
		rounds.Go(func() {
			var first sync.Once
			got := make(chan string, 10)
			ctx := t.Context()
			ready := func(b *rabbitmq.Broker) func() {
				return func() {
					first.Do(func() {
						rounds.Go(func() {
							if err := b.Send(ctx, []*transport.Envelope{envelope(c, round)})[0].Err; err != nil {
								t.Errorf("Send = %v; want nil", err)
							}
						})
					})
				}
			}
			for n, b := range []*rabbitmq.Broker{one, two} {
				if err := b.Declare(ctx, []transport.Channel{c}); err != nil {
					t.Errorf("Declare = %v; want nil", err)
				}
				stop := run(t, b, transport.Route{Channel: c, Group: "g", Ready: ready(b)}, got)
				defer stop()
				if n == 0 {
					time.Sleep(time.Duration(round) * 5 * time.Millisecond) // the second comes at all stages of the first
				}
			}
			select {
			case <-got:
			case <-time.After(patience):
				t.Errorf("round %d: what was sent after the first Ready never came", round)
			}
		})
	}
	rounds.Wait()
}

// run receives and settles until stop, which waits.
func run(t *testing.T, b *rabbitmq.Broker, r transport.Route, got chan<- string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		err := b.Receive(ctx, r, func(d *transport.Delivery) {
			got <- d.Envelope.ID
			d.Settle(transport.Done)
		})
		if err != nil {
			t.Errorf("Receive = %v; want nil", err)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

func unreadablePosition(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Stream, 0)
	route := transport.Route{Channel: c, Group: "g"}
	x := transporttest.StartReceiving(t, b, route)
	send(t, b, c, 0, 3)
	x.Done(3)
	x.Stop()
	raw, queue := dial(t, s), "parley."+c.Address+":g"
	if _, err := raw.QueuePurge(queue, false); err != nil {
		t.Fatal(err)
	}
	if err := raw.PublishWithContext(t.Context(), "", queue, false, false, amqp.Publishing{Body: []byte("what?")}); err != nil {
		t.Fatal(err)
	}
	x = transporttest.StartReceiving(t, b, route)
	if ids := x.Done(3); ids[0] != "id-0" {
		t.Errorf("got %v; want all from id-0 on", ids)
	}
	x.Stop()
}

func backlogOfStream(t *testing.T, s *servers.Server) {
	b, other := open(t, s.URL), open(t, s.URL)
	c := channel(t, b, transport.Stream, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	send(t, b, c, 0, 5)
	x.Done(5)
	x.Stop()
	send(t, b, c, 5, 9)
	var looks sync.WaitGroup
	for range 8 {
		looks.Go(func() {
			if n, _, err := b.Backlog(t.Context(), c, "g"); n != 4 || err != nil {
				t.Errorf("Backlog = %d, %v; want 4", n, err)
			}
		})
	}
	looks.Wait()
	if err := other.Declare(t.Context(), []transport.Channel{c}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	looks.Go(func() {
		for n := 9; ctx.Err() == nil; n++ {
			other.Send(ctx, []*transport.Envelope{envelope(c, n)})
		}
	})
	limited, stop := context.WithTimeout(t.Context(), patience)
	if n, _, err := b.Backlog(limited, c, "g"); n < 4 || err != nil {
		t.Errorf("Backlog of a stream that is written to = %d, %v; want 4 or more", n, err)
	}
	stop()
	cancel()
	looks.Wait()
}
