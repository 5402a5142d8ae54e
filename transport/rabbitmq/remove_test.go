package rabbitmq_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/rabbitmq"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestRemoveAllLeavesNothingOfItsPrefixAndAllOfOthers(t *testing.T) {
	t.Parallel()
	s, err := servers.Use(t.Context(), servers.RabbitMQ)
	if err != nil {
		t.Fatalf("starting RabbitMQ: %v", err)
	}
	t.Cleanup(func() {
		s.KeepLogs = t.Failed()
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("stopping RabbitMQ: %v", err)
		}
	})
	of := func(prefix string) *rabbitmq.Broker {
		b, err := rabbitmq.Open(t.Context(), rabbitmq.Options{URL: s.URL, Prefix: prefix})
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		return b
	}
	shut := func(b *rabbitmq.Broker) {
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	}
	gone := "gone" + strings.ToLower(rand.Text()[:8])
	other := gone + "-not"
	var known []transport.Route
	for _, prefix := range []string{gone, other} {
		b := of(prefix)
		known = nil
		for i, c := range []transport.Channel{
			{Address: "a.queue", Pattern: transport.Queue, Partitions: 2},
			{Address: "a.full", Pattern: transport.Queue, RetainBytes: 1 << 20},
			{Address: "a.topic", Pattern: transport.Topic},
			{Address: "a.stream", Pattern: transport.Stream},
		} {
			if err := b.Declare(t.Context(), []transport.Channel{c}); err != nil {
				t.Fatalf("Declare = %v; want nil", err)
			}
			r := transport.Route{Channel: c, From: transport.Position{Start: true}}
			if c.Pattern != transport.Queue {
				r.Group = "mail"
			}
			x := transporttest.StartReceiving(t, b, r)
			later := envelope(c, 1000+i)
			later.NotBefore = time.Now().Add(time.Hour)
			send(t, b, c, i, i+1)
			if receipt := b.Send(t.Context(), []*transport.Envelope{later})[0]; receipt.Err != nil {
				t.Fatalf("Send = %v; want nil", receipt.Err)
			}
			x.Done(1)
			x.Stop()
			known = append(known, r)
		}
		shut(b)
	}
	conn, err := amqp.Dial(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	queues := []string{"a.queue:0", "a.queue:1", "a.queue:members", "a.full", "a.full:LANDING", "a.topic:mail", "a.stream", "a.stream:mail", "a.stream:mail:position",
		"DELAY.NEAR.4", "DELAY.NEAR.16", "DELAY.NEAR.64"}
	exchanges := []string{"a.queue", "a.full", "a.topic", "a.stream", "POSITION", "DELAY"}
	for k := range 25 {
		queues, exchanges = append(queues, fmt.Sprintf("DELAY.%02d", k)), append(exchanges, fmt.Sprintf("DELAY.%02d", k))
	}
	there := func(prefix string) (all []string) {
		for _, q := range queues {
			if exists(t, conn, func(ch *amqp.Channel) error {
				_, err := ch.QueueDeclarePassive(prefix+"."+q, true, false, false, false, nil)
				return err
			}) {
				all = append(all, "queue "+q)
			}
		}
		for _, x := range exchanges {
			if exists(t, conn, func(ch *amqp.Channel) error {
				return ch.ExchangeDeclarePassive(prefix+"."+x, "direct", true, false, false, false, nil)
			}) {
				all = append(all, "exchange "+x)
			}
		}
		return all
	}
	before := there(gone)
	if got, want := len(before), len(queues)+len(exchanges); got != want {
		t.Fatalf("got %d of them before, %q; want %d, else nothing is tried", got, before, want)
	}
	for range 2 { // the second time there is nothing
		b := of(gone)
		if err := b.RemoveAll(t.Context(), known); err != nil {
			t.Errorf("RemoveAll = %v; want nil", err)
		}
		shut(b)
	}
	if got := there(gone); len(got) > 0 {
		t.Errorf("got %q left; want nothing", got)
	}
	if got := there(other); !slices.Equal(got, before) {
		t.Errorf("got %q left of another prefix; want %q, all of it", got, before)
	}
	b := of(other)
	if err := b.RemoveAll(t.Context(), known); err != nil {
		t.Errorf("RemoveAll = %v; want nil", err)
	}
	shut(b)
}

// exists asks on a channel of its own, which the server closes after a no.
func exists(t *testing.T, conn *amqp.Connection, ask func(*amqp.Channel) error) bool {
	t.Helper()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	err = ask(ch)
	if refused, ok := errors.AsType[*amqp.Error](err); ok && refused.Code == amqp.NotFound {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}
