package rabbitmq_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/rabbitmq"
	"github.com/parley-io/parley/transport/transporttest"
)

// later sends messages from one number up to another; each gets its NotBefore.
func later(t *testing.T, b *rabbitmq.Broker, c transport.Channel, from, to int, notBefore func(n int) time.Time) {
	t.Helper()
	var batch []*transport.Envelope
	for n := from; n < to; n++ {
		e := envelope(c, n)
		e.NotBefore = notBefore(n)
		batch = append(batch, e)
	}
	for _, r := range b.Send(t.Context(), batch) {
		if r.Err != nil {
			t.Fatalf("Send of what is delayed = %v; want nil", r.Err)
		}
	}
}

// punctual takes deliveries until so many messages have been seen, some twice where a fault touched them, and says how
// often one came again. None may be early.
func punctual(t *testing.T, x *transporttest.Receiving, seen map[string]bool, n int) (again int) {
	t.Helper()
	latest := time.Duration(0)
	for len(seen) < n {
		d := x.Next()
		late := time.Since(d.Envelope.NotBefore)
		if late < 0 {
			t.Errorf("%s came %v before its time; want it not before", d.Envelope.ID, -late)
		}
		latest = max(latest, late)
		if seen[d.Envelope.ID] {
			again++
		}
		seen[d.Envelope.ID] = true
		d.Settle(transport.Done)
	}
	t.Logf("%d messages; the latest came %v after its time", n, latest)
	return again
}

func onTime(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	began := time.Now()
	later(t, b, c, 0, 500, func(n int) time.Time { return began.Add(5 * time.Second * time.Duration(n*7%500) / 500) })
	if again := punctual(t, x, make(map[string]bool), 500); again > 0 {
		t.Errorf("%d messages came again though nothing happened; want none", again)
	}
	x.Stop()
}

// movers has the first Broker move what is due, which ends in the middle of it, and the next go on. The context is that
// of its Close: one that is done already has it drop everything.
func movers(ctx context.Context) func(*testing.T, *servers.Server) {
	return func(t *testing.T, s *servers.Server) {
		first, err := rabbitmq.Open(t.Context(), rabbitmq.Options{URL: s.URL, Prefix: "movers"})
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		c := transport.Channel{Address: "moved.one", Pattern: transport.Queue}
		if err := first.Declare(t.Context(), []transport.Channel{c}); err != nil {
			t.Fatalf("Declare = %v; want nil", err)
		}
		const total = 1000
		began := time.Now()
		later(t, first, c, 0, total, func(n int) time.Time { return began.Add(time.Second + 8*time.Second*time.Duration(n)/total) })
		raw := dial(t, s)
		held := func() bool { // nothing of it is ready for another mover
			ready := 0
			for _, limit := range []int{4, 16, 64} {
				q, err := raw.QueueDeclarePassive(fmt.Sprintf("movers.DELAY.NEAR.%d", limit), true, false, false, false, nil)
				if err != nil {
					t.Fatal(err)
				}
				ready += q.Messages
			}
			return ready == 0
		}
		for deadline := time.Now().Add(patience); !held(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("what is due soon is with the server; want it in the hands of the first Broker")
			}
		}
		second, err := rabbitmq.Open(t.Context(), rabbitmq.Options{URL: s.URL, Prefix: "movers"})
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		x := transporttest.StartReceiving(t, second, transport.Route{Channel: c})
		seen := make(map[string]bool)
		punctual(t, x, seen, 100)
		inOrder := ctx.Err() == nil
		if err := first.Close(ctx); (err == nil) != inOrder {
			t.Errorf("Close = %v; want an error only if it gave up what was running", err)
		}
		if again := punctual(t, x, seen, total); again > 0 && inOrder {
			t.Errorf("%d messages came again after a Close in order; want none", again)
		}
		x.Stop()
		if err := second.Close(t.Context()); err != nil {
			t.Errorf("Close = %v; want nil", err)
		}
	}
}

func longBeforeShort(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	const many = 8500 // more than are in a mover's hands
	long := time.Now().Add(time.Minute)
	later(t, b, c, 0, many, func(int) time.Time { return long })
	later(t, b, c, many, many+1, func(int) time.Time { return time.Now().Add(300 * time.Millisecond) })
	if got, want := x.Done(1)[0], fmt.Sprintf("id-%d", many); got != want {
		t.Errorf("got %s; want %s, which is due a minute before all others", got, want)
	}
	if !time.Now().Before(long) {
		t.Error("the short delay ended when the long ones did; want it not held up by them")
	}
	x.Drop()
}

func offTheLadder(t *testing.T, s *servers.Server) {
	b, raw := open(t, s.URL), dial(t, s)
	c := channel(t, b, transport.Queue, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	target := "TO." + strings.ReplaceAll(c.Address, ".", "_") + "/0"
	const onLadder, rest = 750 * time.Millisecond, 500 * time.Millisecond // on the two lowest levels
	climb := strings.Repeat("0.", 23) + "1.1."
	for _, m := range []struct {
		what, key string
		headers   amqp.Table
		want      time.Duration
	}{
		{"that is brought near", climb + "NEAR.4", amqp.Table{"x-parley-target": target, "x-parley-rest": int64(rest)}, onLadder + rest},
		{"that knows no other place than the ladder", climb + target, amqp.Table{}, onLadder},
	} {
		began := time.Now()
		err := raw.PublishWithContext(t.Context(), "parley.DELAY.01", m.key, true, false, amqp.Publishing{Headers: m.headers, Body: []byte(m.what)})
		if err != nil {
			t.Fatal(err)
		}
		d := x.Next()
		if got := time.Since(began); string(d.Envelope.Body) != m.what || got < m.want {
			t.Errorf("a message %s came as %q after %v; want it after %v", m.what, d.Envelope.Body, got, m.want)
		}
		d.Settle(transport.Done)
	}
	x.Stop()
}

func deletedNear(t *testing.T, s *servers.Server) {
	b, raw := open(t, s.URL), dial(t, s)
	c := channel(t, b, transport.Queue, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	if _, err := raw.QueueDelete("parley.DELAY.NEAR.4", false, false, false); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for n := 0; ; n++ {
		e := envelope(c, n)
		e.NotBefore = time.Now().Add(100 * time.Millisecond)
		err := b.Send(t.Context(), []*transport.Envelope{e})[0].Err
		if err == nil {
			x.DoneUntil(e.ID)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Send of what is delayed = %v; want the queue made again", err)
		}
		time.Sleep(100 * time.Millisecond) // as a client that repeats
	}
	x.Stop()
}

func awayWhenDue(t *testing.T, s *servers.Server) {
	b, raw := open(t, s.URL), dial(t, s)
	c := channel(t, b, transport.Queue, 0)
	due := time.Now().Add(5 * time.Second)
	later(t, b, c, 1, 2, func(int) time.Time { return due })
	if _, err := raw.QueueDelete("parley."+c.Address, false, false, false); err != nil {
		t.Fatal(err)
	}
	if !time.Now().Before(due) {
		t.Fatal("the queue was deleted after the message was due; want it before, else nothing is tried")
	}
	time.Sleep(time.Until(due) + 2*time.Second) // so that it has been tried, and the queue is gone
	other := open(t, s.URL)
	x := transporttest.StartReceiving(t, other, transport.Route{Channel: c})
	if got := x.Done(1)[0]; got != "id-1" {
		t.Errorf("got %s; want id-1, which was due while its queue was away", got)
	}
	x.Stop()
}

// dueOnTopics has a message come once to a topic's group, and another one go that is due on a topic without any: who comes
// later gets what is due then. What that takes is on each node of a cluster: what is on one alone can't be declared again
// while that is away, nor can the ladder that it is a part of.
func dueOnTopics(t *testing.T, s *servers.Server) {
	b := openWithOptions(t, rabbitmq.Options{URL: s.URL, Prefix: "topics"})
	alone, grouped := channel(t, b, transport.Topic, 0), channel(t, b, transport.Topic, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: grouped, Group: "g"})
	first, second := envelope(alone, 1), envelope(grouped, 2)
	first.NotBefore, second.NotBefore = time.Now().Add(500*time.Millisecond), time.Now().Add(time.Second)
	for _, r := range b.Send(t.Context(), []*transport.Envelope{first, second}) {
		if r.Err != nil {
			t.Fatalf("Send = %v; want nil", r.Err)
		}
	}
	x.Done(1)
	y := transporttest.StartReceiving(t, b, transport.Route{Channel: alone, Group: "g"})
	later(t, b, alone, 3, 4, func(int) time.Time { return time.Now().Add(5 * time.Second) }) // what is held is tried sooner
	if got := y.Done(1)[0]; got != "id-3" {
		t.Errorf("the group that came later got %s; want id-3, as there was no group when id-1 was due", got)
	}
	y.Stop()
	x.Stop()
	if n := len(x.Got); n > 0 {
		t.Errorf("%d messages more came to the group; want one in all", n)
	}
	out, err := s.Rabbitmqctl(t.Context(), "list_queues", "-p", "parley", "name", "durable", "type")
	if err != nil || !strings.Contains(out, "topics.DELAY.NEAR.4\ttrue\tquorum") {
		t.Fatalf("rabbitmqctl = %q, %v; want the queues", out, err)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "topics.") && strings.Contains(line, "\ttrue\tclassic") {
			t.Errorf("%s lasts, and is on one node; want it on each", strings.Fields(line)[0])
		}
	}
}
