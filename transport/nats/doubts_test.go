package nats_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// stored is the stored message of a position.
func stored(t *testing.T, s *embedded.Server, stream, position string) *jetstream.RawStreamMsg {
	t.Helper()
	nc, err := natsio.Connect("", natsio.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	nc.SetClosedHandler(func(*natsio.Conn) { close(ended) })
	defer func() {
		nc.Close()
		<-ended
	}()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	in, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(position, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	m, err := in.GetMsg(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The server would refuse a batch with a repetition in it, and each stranger would be sent a second time, by itself.
func TestTheRepetitionOfAnUnknownOutcomeIsNeverInABatchWithStrangers(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	frozen := &freezer{Server: s, thaw: make(chan struct{})}
	b, err := nats.Open(t.Context(), nats.Options{InProcess: frozen})
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, b)
	c := transport.Channel{Address: "a.b", Pattern: transport.Stream}
	declare(t, b, c)
	frozen.freeze()
	thawed := false
	defer func() {
		if !thawed {
			close(frozen.thaw)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	e := envelope(c, "")
	if r := b.Send(ctx, []*transport.Envelope{e})[0]; !errors.Is(r.Err, context.DeadlineExceeded) || errors.Is(r.Err, transport.ErrNotSent) {
		t.Fatalf("receipt = %v; want an unknown outcome", r.Err)
	}
	close(frozen.thaw)
	thawed = true
	var batch []*transport.Envelope
	for range 40 {
		batch = append(batch, envelope(c, ""))
	}
	batch[19] = e
	batch = append(batch, envelope(c, "")) // 19 before it, which are too few for a batch, and 21 behind
	receipts := send(t, b, batch...)
	if receipts[19].Position != "1" {
		t.Errorf("position of the repetition = %s; want 1, where it was stored first", receipts[19].Position)
	}
	for i, r := range receipts {
		_, batched := stored(t, s, "parley_a_b", r.Position).Header["Nats-Batch-Id"]
		if want := i > 19; batched != want {
			t.Errorf("message %d stored by a batch = %v; want %v: the repetition is number 19, and 21 follow", i, batched, want)
		}
	}
}
