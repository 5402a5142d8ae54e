package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

func deletedQueue(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 0)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	raw := dial(t, s)
	if _, err := raw.QueueDelete("parley."+c.Address, false, false, false); err != nil {
		t.Fatal(err)
	}
	if err := raw.ExchangeDelete("parley."+c.Address, false, false); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for n := range 100 {
		switch err := b.Send(t.Context(), []*transport.Envelope{envelope(c, n)})[0].Err; {
		case err == nil:
			stored++
		case errors.Is(err, transport.ErrRefused):
			t.Fatalf("Send to what was deleted = %v; want ErrNotSent or unknown, as it is declared again", err)
		default:
			time.Sleep(20 * time.Millisecond) // as a client that repeats
		}
		if stored == 3 {
			break
		}
	}
	x.Done(3)
	x.Stop()
}

func blocked(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 0)
	send(t, b, c, 0, 10)
	watermark := func(v string) {
		t.Helper()
		if out, err := s.Rabbitmqctl(t.Context(), "set_vm_memory_high_watermark", "absolute", v); err != nil {
			t.Fatalf("rabbitmqctl: %v: %s", err, out)
		}
	}
	watermark("1MB")
	deadline := time.Now().Add(patience) // the alarm comes within seconds
	for n := 10; ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := b.Send(ctx, []*transport.Envelope{envelope(c, n)})[0].Err
		cancel()
		if err != nil && strings.Contains(err.Error(), "blocked by the broker") {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("Send while the server takes nothing = %v; want an error that says so", err)
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	x.Done(10)
	watermark("1GB")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Send(ctx, []*transport.Envelope{envelope(c, 1000)})[0].Err; err != nil {
		t.Errorf("Send after the alarm = %v; want nil", err)
	}
	x.Drop()
}

func deletedExchange(t *testing.T, s *servers.Server) {
	b, raw := open(t, s.URL), dial(t, s)
	for attempt := 1; ; attempt++ {
		c := channel(t, b, transport.Queue, 0)
		var batch []*transport.Envelope
		for n := range 2000 {
			batch = append(batch, envelope(c, n))
		}
		deleted := make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(attempt) * 10 * time.Millisecond) // so that it is on its way
			deleted <- raw.ExchangeDelete("parley."+c.Address, false, false)
		}()
		receipts := b.Send(t.Context(), batch)
		if err := <-deleted; err != nil {
			t.Fatal(err)
		}
		notSent, lost := make(map[string]bool), 0
		for n, r := range receipts {
			notSent[batch[n].ID] = errors.Is(r.Err, transport.ErrNotSent)
			if r.Err != nil && !notSent[batch[n].ID] {
				lost++
			}
		}
		for {
			d, ok, err := raw.Get("parley."+c.Address, true)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if notSent[d.MessageId] {
				t.Errorf("%s is stored and its receipt says not sent", d.MessageId)
			}
		}
		if lost > 0 {
			return
		}
		if attempt == 10 {
			t.Fatal("nothing was on its way when the exchange was deleted")
		}
	}
}

func lostConnection(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 1)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Credit: transport.NewCredit(1)})
	send(t, b, c, 0, 1)
	held := x.Next()
	closed := make(chan error, 1)
	closeAll := func() {
		_, err := s.Rabbitmqctl(t.Context(), "close_all_connections", "-p", "parley", "test")
		closed <- err
	}
	go closeAll()
	for lost, first := false, 1; !lost; first += 100_000 {
		select {
		case err := <-closed: // between two batches
			if err != nil {
				t.Fatal(err)
			}
			go closeAll()
		default:
		}
		var batch []*transport.Envelope
		for n := range 100_000 {
			e := envelope(c, first+n)
			e.Key = "one"
			batch = append(batch, e)
		}
		for n, r := range b.Send(t.Context(), batch) {
			if r.Err == nil && lost {
				t.Fatalf("message %d of a batch is stored after one before it was not; want the order kept", n)
			}
			lost = lost || r.Err != nil
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	select {
	case <-held.Revoked:
	case <-time.After(patience):
		t.Fatal("Revoked is not closed")
	}
	select {
	case <-held.Yield:
	default:
		t.Error("Yield is open after Revoked was closed; want it closed no later")
	}
	if held.Valid() {
		t.Error("Valid after the connection was lost = true; want false")
	}
	held.Settle(transport.Done)
	x.Drop()
}

func fullQueue(t *testing.T, s *servers.Server) {
	const setting = "application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 1000)." // 3 minutes if not set
	if out, err := s.Rabbitmqctl(t.Context(), "eval", setting); err != nil {
		t.Fatalf("rabbitmqctl: %v: %s", err, out)
	}
	b := open(t, s.URL)
	full := transport.Channel{Address: "full.queue", Pattern: transport.Queue, RetainBytes: 2000}
	if err := b.Declare(t.Context(), []transport.Channel{full}); err != nil {
		t.Fatal(err)
	}
	other := channel(t, b, transport.Queue, 0)
	delay := func(c transport.Channel, n int) {
		t.Helper()
		e := envelope(c, n)
		e.Body, e.NotBefore = fmt.Appendf(nil, "%0500d", n), time.Now().Add(300*time.Millisecond)
		if err := b.Send(t.Context(), []*transport.Envelope{e})[0].Err; err != nil {
			t.Fatalf("Send of what is delayed = %v; want nil", err)
		}
	}
	for n := range 100 { // the server moves 32 at a time, and has moved some before it notices that the queue is full
		delay(full, n)
	}
	for deadline := time.Now().Add(patience); ; {
		out, err := s.Rabbitmqctl(t.Context(), "list_queues", "-p", "parley", "messages", "name")
		if err != nil {
			t.Fatalf("rabbitmqctl: %v: %s", err, out)
		}
		landed := 0
		for line := range strings.Lines(out) {
			if count, ok := strings.CutSuffix(strings.TrimSpace(line), "\tparley.full.queue:LANDING"); ok {
				landed, _ = strconv.Atoi(count) // 0 = not yet
			}
		}
		if landed > 32 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages have landed; want more than the queue takes and than 32", landed)
		}
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: other})
	delay(other, 1)
	x.Done(1)
	x.Stop()
	y := transporttest.StartReceiving(t, b, transport.Route{Channel: full})
	seen := make(map[string]bool)
	for len(seen) < 100 {
		seen[y.Done(1)[0]] = true
	}
	y.Drop()
}

// limitChannels sets how many channels connections may have that are made from now on.
func limitChannels(t *testing.T, s *servers.Server, n int) {
	t.Helper()
	if out, err := s.Rabbitmqctl(t.Context(), "eval", fmt.Sprintf("application:set_env(rabbit, channel_max, %d).", n)); err != nil {
		t.Fatalf("rabbitmqctl: %v: %s", err, out)
	}
}

// A machine that was busy took minutes to declare a queue; senders tried again and again, each time on a channel more,
// until there was none, and messages were refused.
func slowToDeclare(t *testing.T, s *servers.Server) {
	limitChannels(t, s, 10)
	defer limitChannels(t, s, 2047)
	b := open(t, s.URL)
	c := transport.Channel{Address: "slow.v1.declared", Pattern: transport.Queue}
	if err := b.Declare(t.Context(), []transport.Channel{c}); err != nil { // all that is made once
		t.Fatalf("Declare = %v; want nil", err)
	}
	c.Address = "slow.v1.asked-for-often"
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := b.Declare(ctx, []transport.Channel{c})
		cancel()
		if !errors.Is(err, transport.ErrNotSent) || errors.Is(err, amqp.ErrChannelMax) {
			t.Errorf("Declare while the server is silent = %v; want ErrNotSent, and channels to be left", err)
		}
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for { // the connection may have been given up
		err := b.Declare(ctx, []transport.Channel{c})
		if err == nil {
			break
		}
		if ctx.Err() != nil || !errors.Is(err, transport.ErrNotSent) {
			t.Fatalf("Declare once the server answers again = %v; want nil", err)
		}
	}
	if n, _, err := b.Backlog(ctx, c, ""); n != 0 || err != nil {
		t.Errorf("Backlog = %d, %v; want 0", n, err)
	}
}

func noChannels(t *testing.T, s *servers.Server) {
	limitChannels(t, s, 6)
	defer limitChannels(t, s, 2047)
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 8)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := b.Receive(ctx, transport.Route{Channel: c}, func(*transport.Delivery) {})
	if transport.CodeOf(err) != transport.ResourceExhausted || !strings.Contains(err.Error(), "all 6 channels") {
		t.Errorf("Receive of 8 partitions with 6 channels = %v; want resource-exhausted and the limit", err)
	}
}

func foreignMembers(t *testing.T, s *servers.Server) {
	b := open(t, s.URL)
	c := channel(t, b, transport.Queue, 2)
	_, err := dial(t, s).QueueDeclare("parley."+c.Address+":members", false, false, true, false, nil) // exclusively
	if err != nil {
		t.Fatal(err)
	}
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	send(t, b, c, 0, 10)
	x.Done(10)
	x.Stop()
}
