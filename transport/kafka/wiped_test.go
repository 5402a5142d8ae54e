package kafka_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

// A cluster that comes back without anything: who sends need not declare again, and who receives goes on with all that
// was stored since, whoever was back first.
func TestAKafkaThatHasLostEverythingIsUsedOnByTheSameProcess(t *testing.T) {
	t.Parallel()
	s := server(t, nil)
	p := prefix()
	sender, receiver := open(t, s, p), open(t, s, p)
	queue := transport.Channel{Address: "wiped.v1.queue", Pattern: transport.Queue, Partitions: 1}
	topic := transport.Channel{Address: "wiped.v1.topic", Pattern: transport.Topic, Partitions: 2}
	stream := transport.Channel{Address: "wiped.v1.stream", Pattern: transport.Stream}
	all := []transport.Channel{queue, topic, stream}
	declare(t, sender, all...)
	got := []*transporttest.Receiving{
		transporttest.StartReceiving(t, receiver, transport.Route{Channel: queue}),
		transporttest.StartReceiving(t, receiver, transport.Route{Channel: topic, Group: "g"}),
		transporttest.StartReceiving(t, receiver, transport.Route{Channel: stream}),
	}
	ranged := transporttest.StartReceiving(t, receiver, transport.Route{
		Channel: stream, From: transport.Position{Start: true}, Until: transport.Position{Time: time.Now().Add(time.Hour)},
	})
	delayed := envelope(queue, "k")
	delayed.NotBefore = time.Now().Add(10 * time.Millisecond)
	send(t, sender, envelope(queue, "k"), envelope(topic, "k"), envelope(stream, "k"), delayed)
	got[0].Done(1)
	held := got[0].Next() // the delayed one
	got[1].Done(1)
	got[2].Done(1)
	if err := s.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	insist(t, sender, all...)
	newcomer := open(t, s, p) // to which the cluster gives numbers that the others had
	declare(t, newcomer, all...)
	for range 20 {
		send(t, newcomer, envelope(queue, "k"))
		send(t, sender, envelope(queue, "k"))
	}
	later := envelope(queue, "k")
	later.NotBefore = time.Now().Add(10 * time.Millisecond)
	send(t, sender, later)
	var ids []string
	for len(ids) == 0 || ids[len(ids)-1] != later.ID {
		ids = append(ids, got[0].Done(1)...)
	}
	if len(ids) < 42 {
		t.Errorf("got %d messages of the queue, %v; want all 42", len(ids), ids)
	}
	select {
	case <-held.Revoked:
	default:
		t.Error("Revoked is open; want it closed for a delivery of the cluster as it was")
	}
	held.Settle(transport.Done)
	got[1].Done(1)
	got[2].Done(1)
	if err := ranged.End(); !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("Receive of a range = %v; want ErrNotFound, as its beginning is lost", err)
	}
	if err := receiver.RemoveGroup(t.Context(), topic, "g"); err != nil {
		t.Errorf("RemoveGroup = %v; want nil", err)
	}
	if err := got[1].End(); !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("Receive of a group that was removed = %v; want ErrNotFound", err)
	}
	got[0].Stop()
	got[2].Stop()
}

// insist sends to channels until it has succeeded, and wants nothing said on the way that ends a repetition.
func insist(t *testing.T, b *kafka.Broker, channels ...transport.Channel) {
	t.Helper()
	limit := time.Now().Add(patience)
	for _, c := range channels {
		e := envelope(c, "k")
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := b.Send(ctx, []*transport.Envelope{e})[0].Err
			cancel()
			if err == nil {
				break
			}
			if errors.Is(err, transport.ErrRefused) || time.Now().After(limit) {
				t.Fatalf("receipt of %s = %v; want nil within %v, and until then errors that may be repeated", c.Address, err, patience)
			}
		}
	}
}

// deletedUnderWay: what a channel was deleted with is lost, and nothing else, and nobody has to declare it.
func deletedUnderWay(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b := open(t, s, prefix)
	c := transport.Channel{Address: "gone.v1.topic", Pattern: transport.Topic, Partitions: 2}
	declare(t, b, c)
	soon := func() *transport.Envelope {
		e := envelope(c, "k")
		e.NotBefore = time.Now().Add(10 * time.Millisecond)
		return e
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	send(t, b, soon())
	x.Done(1) // who moves what is delayed has come to know the topic
	deleteTopic(t, s, prefix+"."+c.Address)
	late := soon()
	send(t, b, late)
	insist(t, b, c)
	if ids := x.Done(2); !slices.Contains(ids, late.ID) {
		t.Errorf("got %v; want %s among them, whose time came while the channel was not there", ids, late.ID)
	}
	x.Stop()
}

// declaredAnew: the client library counts what it sends to a topic, and the cluster takes what has a number again for a
// repeat: it confirms it and stores nothing.
func declaredAnew(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b, other := open(t, s, prefix), open(t, s, prefix)
	c := transport.Channel{Address: "anew.v1.queue", Pattern: transport.Queue, Partitions: 1}
	declare(t, b, c)
	deleteTopic(t, s, prefix+"."+c.Address)
	declare(t, other, c)
	first, second := envelope(c, "k"), envelope(c, "k")
	send(t, b, first) // which has not met the topic that was deleted
	declare(t, b, c)
	send(t, b, second)
	x := transporttest.StartReceiving(t, other, transport.Route{Channel: c})
	if ids := x.Done(2); !slices.Equal(ids, []string{first.ID, second.ID}) {
		t.Errorf("got %v; want both, %s and %s", ids, first.ID, second.ID)
	}
	x.Stop()
}

// straying: a receiver's last commit may come when its topic was deleted and is there again.
func straying(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b := open(t, s, prefix)
	c := transport.Channel{Address: "stray.v1.queue", Pattern: transport.Queue, Partitions: 1}
	topic, group := prefix+"."+c.Address, prefix+"."+c.Address+"._"
	declare(t, b, c)
	send(t, b, envelope(c, "k"), envelope(c, "k"), envelope(c, "k"))
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	x.Done(3)
	x.Stop()
	admin := kadm.NewClient(raw(t, s))
	late, err := admin.FetchOffsetsForTopics(t.Context(), group, topic)
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := late.Lookup(topic, 0); !ok || o.At != 3 {
		t.Fatalf("place = %+v; want offset 3", o)
	}
	deleteTopic(t, s, topic)
	declare(t, b, c)
	var want []string
	for range 4 {
		e := envelope(c, "k")
		send(t, b, e)
		want = append(want, e.ID)
	}
	if err := admin.CommitAllOffsets(t.Context(), group, late.Offsets()); err != nil {
		t.Fatal(err)
	}
	if err := kafka.Sweep(t.Context(), b); err != nil {
		t.Errorf("Sweep = %v; want nil", err)
	}
	if n, _, err := b.Backlog(t.Context(), c, ""); n != 4 || err != nil {
		t.Errorf("Backlog = %d, %v; want 4, as nobody has handled anything of this topic", n, err)
	}
	y := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	if got := y.Done(1); got[0] != want[0] {
		t.Errorf("got %s first; want %s, as the place was in the topic that was deleted", got[0], want[0])
	}
	y.DoneUntil(want[3])
	y.Stop()
	if n, _, err := b.Backlog(t.Context(), c, ""); n != 0 || err != nil {
		t.Errorf("Backlog = %d, %v; want 0 once all is settled", n, err)
	}
}

// deleteTopic deletes a topic, and returns when the cluster knows of it no more.
func deleteTopic(t *testing.T, s *servers.Server, topic string) {
	t.Helper()
	admin := kadm.NewClient(raw(t, s))
	if _, err := admin.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	for {
		all, err := admin.ListTopics(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		if !all.Has(topic) {
			return
		}
	}
}
