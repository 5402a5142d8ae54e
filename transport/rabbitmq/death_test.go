package rabbitmq_test

import (
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

// The suite kills the server under queues; this is about the rest of what is stored.
func TestStreamsPositionsAndDelayedMessagesSurviveTheServersDeath(t *testing.T) {
	s := start(t)
	b := open(t, s.URL)
	stream, topic := channel(t, b, transport.Stream, 2), channel(t, b, transport.Topic, 0)
	group := transporttest.StartReceiving(t, b, transport.Route{Channel: stream, Group: "g"})
	mail := transporttest.StartReceiving(t, b, transport.Route{Channel: topic, Group: "mail"})
	send(t, b, stream, 0, 100)
	group.Done(100)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // until the positions are stored
		n, _, err := b.Backlog(t.Context(), stream, "g")
		if n == 0 && err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Backlog = %d, %v; want 0 once everything is settled", n, err)
		}
	}
	for round := range 2 {
		first := 1000 * (round + 1)
		send(t, b, stream, first, first+100)
		late := envelope(topic, first)
		late.NotBefore, late.Group = time.Now().Add(6*time.Second), "mail"
		if r := b.Send(t.Context(), []*transport.Envelope{late}); r[0].Err != nil {
			t.Fatalf("Send = %v; want nil", r[0].Err)
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for len(seen) < 100 {
			d := group.Next()
			if len(d.Envelope.ID) < len(late.ID) {
				t.Errorf("%s came again; want it to be behind the stored position", d.Envelope.ID)
			}
			if len(d.Envelope.ID) == len(late.ID) && d.Envelope.ID[3] == late.ID[3] {
				seen[d.Envelope.ID] = true
			}
			d.Settle(transport.Done)
		}
		for {
			d := mail.Next()
			d.Settle(transport.Done)
			if d.Envelope.ID != late.ID {
				continue // the one of the round before, once more
			}
			if early := time.Until(late.NotBefore); early > 0 {
				t.Errorf("the delayed message came %v too early", early)
			}
			break
		}
	}
	group.Drop()
	mail.Drop()
}
