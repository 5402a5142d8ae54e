package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

// keysOf are keys of each partition of c.
func keysOf(c transport.Channel) []string {
	keys := make([]string, c.Partitions)
	for i := range 200 {
		k := fmt.Sprint("k", i)
		keys[c.Partition(k)] = k
	}
	return keys
}

// expelled: a member that hands over, and is expelled meanwhile, learns of it although the client library does not ask;
// and it goes on as another member, which loses nothing.
func expelled(t *testing.T, s *servers.Server) {
	p := prefix()
	first, second, third := open(t, s, p), open(t, s, p), open(t, s, p)
	c := transport.Channel{Address: "expelled.v1.queue", Pattern: transport.Queue, Partitions: 4}
	declare(t, first, c)
	for _, k := range keysOf(c) {
		send(t, first, envelope(c, k))
	}
	x := transporttest.StartReceiving(t, first, transport.Route{Channel: c})
	var held []*transport.Delivery
	for range 4 {
		held = append(held, x.Next())
	}
	group := p + "." + c.Address + "._"
	groups, err := kadm.NewClient(raw(t, s)).DescribeGroups(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	others := make(chan *transport.Delivery, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	join := func(b *kafka.Broker) {
		go func() {
			ended <- b.Receive(ctx, transport.Route{Channel: c}, func(d *transport.Delivery) { others <- d })
		}()
	}
	join(second)
	yielding(t, held) // a partition passes to the second
	join(third)       // and the group rebalances again
	time.Sleep(2 * time.Second)
	leave(t, s, group, groups[group].Members[0].MemberID)
	limit := time.After(5 * time.Second)
	for _, d := range held {
		select {
		case <-d.Revoked:
		case <-limit:
			t.Fatal("Revoked is open 5 s after the member was expelled; want it closed once a heartbeat tells")
		}
		if d.Valid() {
			t.Error("Valid = true for a delivery of an expelled member; want false")
		}
	}
	for _, d := range held {
		d.Settle(transport.Done) // which counts for nothing
	}
	for _, k := range keysOf(c) {
		send(t, second, envelope(c, k))
	}
	got := make(map[string]bool)
	for len(got) < 8 {
		var d *transport.Delivery
		select {
		case d = <-others:
		case d = <-x.Got:
		case <-time.After(patience):
			t.Fatalf("got %d messages; want all 8, those of the expelled member, too", len(got))
		}
		got[d.Envelope.ID] = true
		d.Settle(transport.Done)
	}
	cancel()
	x.Stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("Receive = %v; want nil", err)
		}
	}
}

func yielding(t *testing.T, held []*transport.Delivery) {
	t.Helper()
	select {
	case <-held[0].Yield:
	case <-held[1].Yield:
	case <-held[2].Yield:
	case <-held[3].Yield:
	case <-time.After(patience):
		t.Fatal("no Yield was closed; want that of a partition which passes")
	}
}

func leave(t *testing.T, s *servers.Server, group, member string) {
	t.Helper()
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group = group
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	q.Members = append(q.Members, m)
	if _, err := q.RequestWith(t.Context(), raw(t, s)); err != nil {
		t.Fatal(err)
	}
}

// unheard: a member whose heartbeats do not get through goes on fetching, which the cluster does not mind; what it
// fetches is its successor's.
func unheard(t *testing.T, s *servers.Server) {
	p := prefix()
	f, err := newFront(t.Context(), address(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.close() })
	f.name(f.listener.Addr().String())
	first, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{f.listener.Addr().String()}, Prefix: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIt(t, first) })
	second := open(t, s, p)
	c := transport.Channel{Address: "unheard.v1.queue", Pattern: transport.Queue, Partitions: 4}
	declare(t, second, c)
	x := transporttest.StartReceiving(t, first, transport.Route{Channel: c})
	handled := make(map[string]bool)
	take := func(d *transport.Delivery) {
		if handled[d.Envelope.ID] {
			t.Errorf("got %s twice; want it once, from who may have its partition", d.Envelope.ID)
		}
		handled[d.Envelope.ID] = true
		d.Settle(transport.Done)
	}
	const each = 4
	round := func() {
		for _, k := range keysOf(c) {
			send(t, second, envelope(c, k))
		}
	}
	round()
	for range each {
		take(x.Next())
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // a commit must not be held up
		n, _, err := second.Backlog(t.Context(), c, "")
		if n == 0 && err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Backlog = %d, %v; want 0 once everything is settled", n, err)
		}
	}
	release := f.hush()
	t.Cleanup(release)
	y := transporttest.StartReceiving(t, second, transport.Route{Channel: c}) // ready once the first is expelled
	for range 5 {
		round()
		for range each {
			take(y.Next())
		}
	}
	select {
	case d := <-x.Got:
		t.Errorf("the member that is unheard got %s; want nothing, as its lease is over", d.Envelope.ID)
	default:
	}
	release()
	for back := false; !back; {
		round()
		for range each {
			select {
			case d := <-y.Got:
				take(d)
			case d := <-x.Got:
				back = true
				take(d)
			case <-time.After(patience):
				t.Fatal("no delivery came; want them from the second, and then from the first, too, which is a member again")
			}
		}
	}
	x.Stop()
	y.Stop()
}
