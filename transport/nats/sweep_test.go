package nats_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// becomes waits until holds says that a stream is as it should be; got is what the failure tells else.
func becomes(t *testing.T, js jetstream.JetStream, stream string, holds func(jetstream.Stream) (ok bool, got string)) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for begin := time.Now(); ; <-look.C {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if ok, got := holds(s); ok {
			return
		} else if time.Since(begin) > time.Minute {
			t.Fatalf("%s %s", stream, got)
		}
	}
}

// keeps waits until a stream has as many messages as it should.
func keeps(t *testing.T, js jetstream.JetStream, stream string, want uint64) {
	t.Helper()
	becomes(t, js, stream, func(s jetstream.Stream) (bool, string) {
		got := s.CachedInfo().State.Msgs
		return got == want, fmt.Sprintf("keeps %d messages; want %d", got, want)
	})
}

// acknowledged waits until some consumer of a stream has nothing on its way, and its floor is at n.
func acknowledged(t *testing.T, js jetstream.JetStream, stream string, n uint64) {
	t.Helper()
	becomes(t, js, stream, func(s jetstream.Stream) (bool, string) {
		found, all := false, s.ListConsumers(t.Context())
		for c := range all.Info() {
			found = found || c.AckFloor.Stream == n && c.NumAckPending == 0
		}
		if err := all.Err(); err != nil {
			t.Fatal(err)
		}
		return found, fmt.Sprintf("has no consumer that has acknowledged up to %d", n)
	})
}

// hold receives n messages, settles all but every tenth, and returns the rest, by the order of their ids.
func hold(x *transporttest.Receiving, n int) (ids []string, held []*transport.Delivery) {
	for i := range n {
		d := x.Next()
		if i%10 == 0 {
			ids, held = append(ids, d.Envelope.ID), append(held, d)
		} else {
			d.Settle(transport.Done)
		}
	}
	return ids, held
}

func TestAQueueKeepsOnlyWhatIsNotHandled(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	js := rawJetStream(t, s)
	for _, partitions := range []int{0, 8} {
		t.Run(fmt.Sprintf("%d partitions", partitions), func(t *testing.T) {
			c := transport.Channel{Address: fmt.Sprintf("a.p%d", partitions), Pattern: transport.Queue, Partitions: partitions}
			stream := "parley_" + strings.ReplaceAll(c.Address, ".", "_")
			wire := &cable{to: s}
			dying := openOver(t, wire)
			declare(t, dying, c)
			var batch []*transport.Envelope
			for i := range 200 {
				batch = append(batch, envelope(c, fmt.Sprintf("k%d", i)))
			}
			x := transporttest.StartReceiving(t, dying, transport.Route{Channel: c})
			send(t, dying, batch...)
			want, _ := hold(x, len(batch))
			keeps(t, js, stream, uint64(len(want)))
			wire.plug(nil)
			b := open(t, s)
			declare(t, b, c)
			y := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
			got := make(map[string]bool)
			for _, id := range y.Done(len(want)) {
				got[id] = true
			}
			for _, id := range want {
				if !got[id] {
					t.Errorf("%s did not come again; want all that was not handled: %v", id, want)
				}
			}
			keeps(t, js, stream, 0)
			if n, _, err := b.Backlog(t.Context(), c, ""); n != 0 || err != nil {
				t.Errorf("Backlog = %d, %v; want 0, nil", n, err)
			}
			y.Stop()
		})
	}
}

// What was handled just before a receiver was killed is removed by the next one, also if nothing more comes.
func TestAQueueKeepsNothingThatAKilledReceiverHandled(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	js := rawJetStream(t, s)
	for _, partitions := range []int{0, 2} {
		c := transport.Channel{Address: fmt.Sprintf("a.p%d", partitions), Pattern: transport.Queue, Partitions: partitions}
		stream := fmt.Sprintf("parley_a_p%d", partitions)
		wire := &cable{to: s}
		killed := openOver(t, wire)
		declare(t, killed, c)
		x := transporttest.StartReceiving(t, killed, transport.Route{Channel: c})
		send(t, killed, envelope(c, "k"), envelope(c, "k"), envelope(c, "k"))
		x.Done(3)
		acknowledged(t, js, stream, 3)
		wire.plug(nil)
		b := open(t, s)
		declare(t, b, c)
		y := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
		keeps(t, js, stream, 0)
		y.Stop()
	}
}

func TestAQueueIsEmptyOnceItsLastReceiveHasEnded(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue, Partitions: 2}
	declare(t, b, c)
	send(t, b, envelope(c, "k"), envelope(c, "l"), envelope(c, "m"))
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	x.Done(3)
	x.Stop()
	stream, err := rawJetStream(t, s).Stream(t.Context(), "parley_a_b")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("the stream keeps %d messages; want none", n)
	}
}

func TestAQueueOfAnEarlierVersionGoesOn(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	js := rawJetStream(t, s)
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	declare(t, open(t, s), c)
	found, err := js.Stream(t.Context(), "parley_a_b")
	if err != nil {
		t.Fatal(err)
	}
	config := found.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	config.Retention = jetstream.WorkQueuePolicy
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	b := open(t, s)
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	e := envelope(c, "")
	send(t, b, e)
	if got := x.Done(1)[0]; got != e.ID {
		t.Errorf("got %s; want %s", got, e.ID)
	}
	keeps(t, js, config.Name, 0)
	x.Stop()
}

func TestAReceiverThatMayNotRemoveWhatIsHandledSaysSo(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(startProcess(t, map[string]string{"authorization": `{users: [{user: parley, password: "a-word",
  permissions: {publish: {deny: ["$JS.API.STREAM.PURGE.parley_a_b"]}, subscribe: {allow: [">"]}}}]}`}).URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("parley", "a-word")
	b, err := nats.Open(t.Context(), nats.Options{URL: u.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	send(t, b, envelope(c, ""))
	x.Done(1)
	select {
	case err := <-x.Ended:
		if transport.CodeOf(err) != transport.PermissionDenied {
			t.Errorf("Receive = %v, code %s; want %s", err, transport.CodeOf(err), transport.PermissionDenied)
		}
	case <-time.After(time.Minute):
		t.Fatal("Receive goes on; want it to end")
	}
}
