package nats_test

import (
	"context"
	"errors"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// rawJetStream is another client of the server, as an operator's tool is one.
func rawJetStream(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	nc, err := natsio.Connect("", natsio.InProcessServer(s), natsio.Token(s.Token()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// edit changes the settings of a stream.
func edit(t *testing.T, js jetstream.JetStream, stream string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	change(&config)
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

func TestDelayedMessagesAreMovedAlsoWhenTheirStreamWasEdited(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	wire := &cable{to: s}
	b := openOver(t, wire)
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	js := rawJetStream(t, s)
	edit(t, js, "parley_DELAY", func(c *jetstream.StreamConfig) { c.Description = "edited" })
	declare(t, open(t, s), c)
	edit(t, js, "parley_DELAY", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour })
	if err := open(t, s).Declare(t.Context(), []transport.Channel{c}); !errors.Is(err, transport.ErrRefused) {
		t.Errorf("Declare where delayed messages are dropped = %v; want ErrRefused", err)
	}
	wire.plug(s)
	late := envelope(c, "")
	late.NotBefore = time.Now().Add(300 * time.Millisecond)
	if r := sendUntil(t, b, late); r.Err != nil {
		t.Fatal(r.Err)
	}
	if got := x.Done(1)[0]; got != late.ID {
		t.Errorf("got %s; want %s", got, late.ID)
	}
	x.Stop()
}

func TestABucketThatForgetsWhoLeftIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	js := rawJetStream(t, s)
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "parley_owners", TTL: time.Minute}); err != nil {
		t.Fatal(err)
	}
	b := open(t, s)
	declare(t, b, keyed)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Receive(ctx, transport.Route{Channel: keyed, Group: "g"}, nil); !errors.Is(err, transport.ErrRefused) {
		t.Errorf("Receive = %v; want ErrRefused", err)
	}
}
