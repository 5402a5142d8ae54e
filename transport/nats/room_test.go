package nats_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// wantFull wants a receipt that says that there is no room, and that the message may be repeated.
func wantFull(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, transport.ErrNotSent) || transport.CodeOf(err) != transport.ResourceExhausted {
		t.Fatalf("receipt = %v (%s); want ErrNotSent and %s", err, transport.CodeOf(err), transport.ResourceExhausted)
	}
}

// fill sends until something is refused, and returns what was confirmed and why the rest was not.
func fill(t *testing.T, b *nats.Broker, c transport.Channel) (confirmed []string, why error) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; {
		var batch []*transport.Envelope
		for range 50 {
			e := envelope(c, "k")
			e.Body = []byte(strings.Repeat("x", 2000))
			batch = append(batch, e)
		}
		for i, r := range b.Send(t.Context(), batch) {
			if r.Err == nil {
				confirmed = append(confirmed, batch[i].ID)
			} else {
				why = r.Err
			}
		}
		if why != nil {
			return confirmed, why
		}
	}
	t.Fatalf("%d messages were taken; want the server to be full", len(confirmed))
	return nil, nil
}

// A server that is full must still take what its receivers write to show that they live, or nobody could empty it.
func TestAFullServerIsEmptiedByItsReceiversAndTakesMessagesAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{MaxBytes: 1 << 20})
	sender := open(t, s)
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue, Partitions: 2}
	declare(t, sender, c)
	confirmed, why := fill(t, sender, c)
	wantFull(t, why)
	kept, err := sender.Storage(t.Context())
	if err != nil || kept.Limit != 1<<20 || kept.Bytes < kept.Limit/2 || kept.Bytes > kept.Limit {
		t.Errorf("Storage = %+v, %v; want a limit of %d that is nearly reached", kept, err, 1<<20)
	}
	if got := s.Status(); got.Bytes != kept.Bytes || got.Limit != kept.Limit || got.Messages < int64(len(confirmed)) {
		t.Errorf("Status = %+v; want %+v and at least %d messages", got, kept, len(confirmed))
	}
	x := transporttest.StartReceiving(t, open(t, s), transport.Route{Channel: c})
	if got := strings.Join(x.Done(len(confirmed)), " "); got != strings.Join(confirmed, " ") {
		t.Errorf("got %s; want what was confirmed, in its order: %s", got, strings.Join(confirmed, " "))
	}
	last := envelope(c, "k")
	if r := sendUntil(t, sender, last); r.Err != nil {
		t.Fatalf("receipt once there is room again: %v; want none", r.Err)
	}
	if got := x.Done(1)[0]; got != last.ID {
		t.Errorf("got %s; want %s", got, last.ID)
	}
	x.Stop()
}

func TestAFullChannelAndAMessageThatIsTooLargeAreTyped(t *testing.T) {
	t.Parallel()
	b := open(t, startServer(t, embedded.Options{}))
	small := transport.Channel{Address: "a.small", Pattern: transport.Queue, RetainBytes: 20_000}
	large := transport.Channel{Address: "a.large", Pattern: transport.Queue}
	declare(t, b, small, large)
	_, why := fill(t, b, small)
	wantFull(t, why)
	e := envelope(large, "")
	e.Body = make([]byte, transport.DefaultMaxBody+1)
	if err := b.Send(t.Context(), []*transport.Envelope{e})[0].Err; !errors.Is(err, transport.ErrRefused) || transport.CodeOf(err) != transport.InvalidArgument {
		t.Errorf("receipt of a message that is too large = %v (%s); want ErrRefused and %s", err, transport.CodeOf(err), transport.InvalidArgument)
	}
	send(t, b, envelope(large, "")) // the connection goes on
}

func TestWithoutAConnectionTheReceiptSaysWhy(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	wire := &cable{to: s}
	b := openOver(t, wire)
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	declare(t, b, c)
	wire.plug(nil)
	for begin := time.Now(); ; {
		err := b.Send(t.Context(), []*transport.Envelope{envelope(c, "")})[0].Err
		if errors.Is(err, transport.ErrNotSent) && transport.CodeOf(err) == transport.Unavailable && strings.Contains(err.Error(), "unplugged") {
			break
		}
		if err == nil || time.Since(begin) > patience {
			t.Fatalf("receipt = %v (%s); want ErrNotSent, %s and why nobody could connect", err, transport.CodeOf(err), transport.Unavailable)
		}
	}
	wire.plug(s)
}
