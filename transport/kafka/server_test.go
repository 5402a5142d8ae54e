package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

// TestOnAServer are tests that share one, which none of them harms.
func TestOnAServer(t *testing.T) {
	s := used(t)
	for _, c := range []struct {
		name string
		test func(t *testing.T, s *servers.Server)
	}{
		{"a topic with fewer partitions than declared is refused", fewerPartitions},
		{"a topic with settings that lose messages is refused", losing},
		{"what is handled is deleted, and what is not stays", sweeping},
		{"a channel that was deleted can be declared again", deleted},
		{"a channel that was deleted under way is made again by who uses it", deletedUnderWay},
		{"what is sent before and after a channel is declared anew is stored", declaredAnew},
		{"a place in a topic that was deleted is none in the next one", straying},
		{"a stranger's records are delivered", strangers},
		{"a delayed message can be cancelled", cancelling},
		{"a delayed message is moved once and survives its mover", delaying},
		{"a removed group ends its receivers", removing},
		{"a partition is handed over in order", handOver},
		{"an expelled member ends at once and comes back", expelled},
		{"a member that is unheard is given nothing of its successor's", unheard},
		{"a group begins where it was told", beginning},
		{"a lane that is stuck does not stop the others", stuckLane},
		{"a position is a place in all partitions", positions},
		{"a group that the cluster has forgotten begins again", forgotten},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, s)
		})
	}
}

// raw is the client library on the same server.
func raw(t testing.TB, s *servers.Server, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address(s)), kgo.RecordPartitioner(kgo.ManualPartitioner())}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func sweeping(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b := open(t, s, prefix)
	admin := kadm.NewClient(raw(t, s))
	topic := transport.Channel{Address: "swept.v1.topic", Pattern: transport.Topic, Partitions: 1}
	nobody := transport.Channel{Address: "swept.v1.nobody", Pattern: transport.Topic, Partitions: 1}
	queue := transport.Channel{Address: "swept.v1.queue", Pattern: transport.Queue, Partitions: 1}
	stream := transport.Channel{Address: "swept.v1.stream", Pattern: transport.Stream, Partitions: 1}
	deleted := transport.Channel{Address: "swept.v1.deleted", Pattern: transport.Topic, Partitions: 1}
	shared := transport.Channel{Address: "swept.v1.shared", Pattern: transport.Topic, Partitions: 1}
	declare(t, b, topic, nobody, queue, stream, deleted, shared)
	fast, slow := transporttest.StartReceiving(t, b, transport.Route{Channel: topic, Group: "fast"}), transporttest.StartReceiving(t, b, transport.Route{Channel: topic, Group: "slow"})
	for _, c := range []transport.Channel{topic, nobody, queue, stream, shared} {
		for range 10 {
			send(t, b, envelope(c, "k"))
		}
	}
	fast.Done(10)
	slow.Done(4)
	fast.Stop()
	for range 6 {
		slow.Next().Settle(transport.Return) // it stays
	}
	slow.Drop()
	var stranger kadm.Offsets // of a group that is not Parley's
	stranger.AddOffset(prefix+"."+shared.Address, 0, 2, -1)
	if err := admin.CommitAllOffsets(t.Context(), "analytics-"+prefix, stranger); err != nil {
		t.Fatal(err)
	}
	deleteTopic(t, s, prefix+"."+deleted.Address)
	if err := kafka.Sweep(t.Context(), b); err == nil || !strings.Contains(err.Error(), deleted.Address) {
		t.Errorf("sweeping = %v; want an error about the topic that was deleted, and the others swept", err)
	}
	for c, want := range map[transport.Channel]int64{topic: 4, nobody: 10, queue: 0, stream: 0, shared: 2} {
		name := prefix + "." + c.Address
		starts, err := admin.ListStartOffsets(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := starts.Lookup(name, 0); got.Offset != want {
			t.Errorf("%v %s begins with offset %d after a sweep; want %d", c.Pattern, c.Address, got.Offset, want)
		}
	}
	again := transporttest.StartReceiving(t, b, transport.Route{Channel: topic, Group: "slow"})
	again.Done(6)
	again.Stop()
}

func strangers(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b := open(t, s, prefix)
	c := transport.Channel{Address: "strange.v1.queue", Pattern: transport.Queue, Partitions: 2}
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	r := &kgo.Record{Topic: prefix + "." + c.Address, Partition: 1, Value: []byte("hello"), Key: []byte("k")}
	if err := raw(t, s).ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	d := x.Next()
	if d.Envelope.Headers[transport.Malformed] == "" || string(d.Envelope.Body) != "hello" || d.Partition != 1 || !strings.HasSuffix(d.Envelope.ID, ".1.0") {
		t.Errorf("got %+v of partition %d; want the body, an id of its place, and why it is no event", d.Envelope, d.Partition)
	}
	if age := time.Since(d.Accepted); age < -time.Minute || age > time.Minute {
		t.Errorf("Accepted = %v; want the broker's time", d.Accepted)
	}
	d.Settle(transport.Done)
	x.Stop()
	if n, oldest, err := b.Backlog(t.Context(), c, ""); n != 0 || !oldest.IsZero() || err != nil {
		t.Errorf("Backlog = %d, %v, %v; want nothing once it is settled", n, oldest, err)
	}
}

func removing(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b := open(t, s, prefix)
	c := transport.Channel{Address: "groups.v1.topic", Pattern: transport.Topic}
	declare(t, b, c)
	if _, _, err := b.Backlog(t.Context(), c, "g"); !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("Backlog of a group that does not exist = %v; want ErrNotFound", err)
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	send(t, b, envelope(c, ""), envelope(c, ""))
	d := x.Next()
	if n, oldest, err := b.Backlog(t.Context(), c, "g"); n != 2 || oldest.IsZero() || err != nil {
		t.Errorf("Backlog = %d, %v, %v; want 2 and when the older was accepted", n, oldest, err)
	}
	if err := b.RemoveGroup(t.Context(), c, "g"); err != nil {
		t.Fatalf("RemoveGroup = %v; want nil", err)
	}
	select {
	case <-d.Revoked:
	case <-time.After(patience):
		t.Fatal("Revoked is open; want it closed once the group is removed")
	}
	d.Settle(transport.Done)
	select {
	case err := <-x.Ended:
		if !errors.Is(err, transport.ErrNotFound) {
			t.Errorf("Receive = %v; want ErrNotFound", err)
		}
	case <-time.After(patience):
		t.Fatal("Receive has not returned; want ErrNotFound once its group is removed")
	}
	if err := b.RemoveGroup(t.Context(), c, "g"); err != nil {
		t.Errorf("RemoveGroup of a group that does not exist = %v; want nil", err)
	}
	y := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"}) // a new one, from now
	after := envelope(c, "")
	send(t, b, after)
	if got := y.Done(1); got[0] != after.ID {
		t.Errorf("the new group got %s; want %s, what came after it was made", got[0], after.ID)
	}
	y.Stop()
	var left kadm.Offsets // by a removal that got no further than the registry
	for p := range int32(kafka.UnorderedPartitions) {
		left.AddOffset(prefix+"."+c.Address, p, 0, -1)
	}
	if err := kadm.NewClient(raw(t, s)).CommitAllOffsets(t.Context(), prefix+"."+c.Address+".h", left); err != nil {
		t.Fatal(err)
	}
	z := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "h"})
	last := envelope(c, "")
	send(t, b, last)
	if got := z.Done(1); got[0] != last.ID {
		t.Errorf("a group that is new again got %s; want %s, what came after it was made", got[0], last.ID)
	}
	z.Stop()
}

func handOver(t *testing.T, s *servers.Server) {
	prefix := prefix()
	first, second := open(t, s, prefix), open(t, s, prefix)
	c := transport.Channel{Address: "handed.v1.queue", Pattern: transport.Queue, Partitions: 2}
	declare(t, first, c)
	keys := keysOf(c)
	for range 3 {
		send(t, first, envelope(c, keys[0]), envelope(c, keys[1]))
	}
	x := transporttest.StartReceiving(t, first, transport.Route{Channel: c})
	var held []*transport.Delivery
	for range 6 {
		held = append(held, x.Next())
	}
	y := transporttest.StartReceiving(t, second, transport.Route{Channel: c}) // which takes one of the partitions
	passing := -1
	select {
	case <-held[slices.IndexFunc(held, func(d *transport.Delivery) bool { return d.Partition == 0 })].Yield:
		passing = 0
	case <-held[slices.IndexFunc(held, func(d *transport.Delivery) bool { return d.Partition == 1 })].Yield:
		passing = 1
	case <-time.After(patience):
		t.Fatal("no Yield was closed; want that of the partition which passes")
	}
	begun := true // the first delivery runs, the others had not begun
	for _, d := range held {
		switch {
		case d.Partition != passing:
			d.Settle(transport.Done)
		case begun:
			begun = false
		default:
			d.Settle(transport.Return)
		}
	}
	select {
	case d := <-y.Got:
		t.Fatalf("the next owner got %s while a delivery ran; want it to wait", d.Envelope.ID)
	case <-time.After(500 * time.Millisecond):
	}
	running := held[slices.IndexFunc(held, func(d *transport.Delivery) bool { return d.Partition == passing })]
	if !running.Valid() {
		t.Error("Valid = false while the partition is handed over; want true")
	}
	running.Settle(transport.Done)
	for range 2 {
		d := y.Next()
		if d.Partition != passing || d.Fence <= running.Fence || d.Envelope.ID == running.Envelope.ID {
			t.Errorf("the next owner got %s of partition %d, fence %d; want those given back of partition %d, fence above %d",
				d.Envelope.ID, d.Partition, d.Fence, passing, running.Fence)
		}
		d.Settle(transport.Done)
	}
	x.Stop()
	y.Stop()
}

func beginning(t *testing.T, s *servers.Server) {
	b := open(t, s, prefix())
	c := transport.Channel{Address: "begin.v1.stream", Pattern: transport.Stream, Partitions: 3}
	declare(t, b, c)
	for i := range 6 {
		send(t, b, envelope(c, fmt.Sprint("k", i)))
	}
	now := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "now"})
	now.Stop() // it is registered although it received nothing
	meanwhile := envelope(c, "k")
	send(t, b, meanwhile)
	now = transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "now", From: transport.Position{Start: true}})
	if got := now.Done(1); got[0] != meanwhile.ID {
		t.Errorf("a group that was registered got %s first; want %s, what came while it was away", got[0], meanwhile.ID)
	}
	now.Stop()
	start := transporttest.StartReceiving(t, b, transport.Route{Channel: c, From: transport.Position{Start: true}, Until: transport.Position{Time: time.Now().Add(time.Second)}})
	start.Done(7)
	if err := <-start.Ended; err != nil {
		t.Errorf("Receive until a time = %v; want nil", err)
	}
}

func stuckLane(t *testing.T, s *servers.Server) {
	b := open(t, s, prefix())
	c := transport.Channel{Address: "stuck.v1.queue", Pattern: transport.Queue, Partitions: 2}
	declare(t, b, c)
	keys := keysOf(c)
	var batch []*transport.Envelope
	for range 3000 { // of partition 0: more than may wait in memory
		e := envelope(c, keys[0])
		e.Body = make([]byte, 1000)
		batch = append(batch, e)
	}
	send(t, b, batch...)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Credit: transport.NewCredit(8)})
	var stuck []*transport.Delivery
	for range 4 { // half of the credit
		stuck = append(stuck, x.Next())
	}
	for range 20 {
		e := envelope(c, keys[1])
		send(t, b, e)
		if d := x.Next(); d.Envelope.ID == e.ID {
			d.Settle(transport.Done)
		} else {
			t.Fatalf("got %s of partition %d; want %s, as the other partition has its share", d.Envelope.ID, d.Partition, e.ID)
		}
	}
	for _, d := range stuck {
		d.Settle(transport.Done)
	}
	x.Done(2996)
	x.Stop()
}

func positions(t *testing.T, s *servers.Server) {
	b := open(t, s, prefix())
	c := transport.Channel{Address: "places.v1.stream", Pattern: transport.Stream, Partitions: 3}
	declare(t, b, c)
	var sent []string
	var receipts []transport.Receipt
	for i := range 12 {
		e := envelope(c, fmt.Sprint("k", i))
		sent = append(sent, e.ID)
		receipts = append(receipts, send(t, b, e)...)
		time.Sleep(3 * time.Millisecond) // the cluster's clock counts milliseconds
	}
	place := make(map[string]string) // of each id that came
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	route := transport.Route{Channel: c, From: transport.Position{At: receipts[4].Position}, Until: transport.Position{At: receipts[9].Position}}
	err := b.Receive(ctx, route, func(d *transport.Delivery) {
		place[d.Envelope.ID] = d.Position
		d.Settle(transport.Done)
	})
	if err != nil || ctx.Err() != nil {
		t.Fatalf("Receive until a position = %v, %v; want nil, by itself", err, ctx.Err())
	}
	own, _, _ := strings.Cut(receipts[4].Position, ":")
	for i, id := range sent {
		at, came := place[id]
		partition, _, _ := strings.Cut(at, ":")
		switch {
		case i >= 4 && i < 9:
			if !came {
				t.Errorf("from the 5th to the 10th message: the %dth did not come", i+1)
			}
		case came && (i >= 9 || partition == own): // what is a little earlier may come from other partitions
			t.Errorf("from the 5th to the 10th message: the %dth came, of partition %s", i+1, partition)
		}
	}
}

func forgotten(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b := open(t, s, prefix)
	c := transport.Channel{Address: "forgotten.v1.topic", Pattern: transport.Topic, Partitions: 2}
	declare(t, b, c)
	transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"}).Stop()
	e := envelope(c, "k")
	send(t, b, e)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	admin := kadm.NewClient(raw(t, s))
	for { // as the cluster does after a week; the member may be leaving still
		if _, err := admin.DeleteGroup(ctx, prefix+"."+c.Address+".g"); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if err := kafka.Sweep(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	if got := x.Done(1); got[0] != e.ID {
		t.Errorf("got %s; want %s, which came while the group was away", got[0], e.ID)
	}
	x.Stop()
}
