package kafka_test

import (
	"errors"
	"testing"
	"time"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

func cancelling(t *testing.T, s *servers.Server) {
	b := open(t, s, prefix())
	c := transport.Channel{Address: "later.v1.queue", Pattern: transport.Queue}
	declare(t, b, c)
	if err := b.CancelDelayed(t.Context(), c, "nothing"); !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("CancelDelayed of nothing = %v; want ErrNotFound", err)
	}
	first, second, other := envelope(c, "k"), envelope(c, "k"), envelope(c, "k")
	due := time.Now().Add(3 * time.Second)
	first.NotBefore, other.NotBefore = due, due
	*second = *first
	second.Copy = "a 2"
	send(t, b, first, second, other)
	if err := b.CancelDelayed(t.Context(), c, first.ID); err != nil {
		t.Errorf("CancelDelayed = %v; want nil", err)
	}
	if err := b.CancelDelayed(t.Context(), c, first.ID); !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("the second CancelDelayed = %v; want ErrNotFound", err)
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	if got := x.Done(1); got[0] != other.ID {
		t.Errorf("got %s; want %s alone, as the other was cancelled", got[0], other.ID)
	}
	x.Stop()
}

func delaying(t *testing.T, s *servers.Server) {
	prefix := prefix()
	first := open(t, s, prefix)
	c := transport.Channel{Address: "later.v1.queue", Pattern: transport.Queue, Partitions: 4}
	declare(t, first, c)
	due := time.Now().Add(8 * time.Second) // more than it takes to pass on what the first one was to move
	want := make(map[string]bool)
	for range 40 {
		e := envelope(c, "k")
		e.NotBefore = due
		send(t, first, e, e) // a repetition is one message while it waits
		want[e.ID] = true
	}
	far := envelope(c, "k")
	far.NotBefore = time.Now().Add(kafka.MaxDelay - time.Hour)
	send(t, first, far)
	tooFar := envelope(c, "k")
	tooFar.NotBefore = time.Now().Add(kafka.MaxDelay + time.Hour)
	if r := first.Send(t.Context(), []*transport.Envelope{tooFar}); !errors.Is(r[0].Err, transport.ErrRefused) {
		t.Errorf("receipt of a message beyond MaxDelay = %v; want ErrRefused", r[0].Err)
	}
	second := open(t, s, prefix)
	declare(t, second, c)
	closeIt(t, first)
	x := transporttest.StartReceiving(t, second, transport.Route{Channel: c})
	for range 40 {
		d := x.Next()
		if early := time.Until(due); early > 0 {
			t.Errorf("%s came %v early; want none before its time", d.Envelope.ID, early)
		}
		if !want[d.Envelope.ID] {
			t.Errorf("got %s; want each of those that were sent once", d.Envelope.ID)
		}
		delete(want, d.Envelope.ID)
		d.Settle(transport.Done)
	}
	t.Logf("the last of 40 came %v late", time.Since(due).Round(time.Millisecond))
	x.Stop()
}
