package nats

import (
	"context"
	"errors"
	"testing"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats/embedded"
)

// A server that came back without its data has another stream in the place of the one that is lost, whose sequences are
// those of other messages.
func TestASweepLeavesAnotherStreamAlone(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b, err := Open(t.Context(), Options{InProcess: s, Token: s.Token()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	create := func() *jetstream.StreamInfo {
		info, err := b.create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.js.CreateConsumer(t.Context(), info.Config.Name, groupConfig(queueGroup, b.names.filters(c, ""))); err != nil {
			t.Fatal(err)
		}
		if _, err := b.js.Publish(t.Context(), "parley.a_b.0", nil); err != nil {
			t.Fatal(err)
		}
		return info
	}
	info := create()
	sweep := newSweep(b, c, queueGroup)
	sweep.begin(info)
	sweep.note(&entry{
		msg:  &natsio.Msg{Subject: "parley.a_b.0"},
		meta: &natsio.MsgMetadata{Sequence: natsio.SequencePair{Stream: 1}}, created: info.Created,
	})
	if err := b.js.DeleteStream(t.Context(), info.Config.Name); err != nil {
		t.Fatal(err)
	}
	create()
	if err := sweep.round(t.Context(), true); !errors.Is(err, errReplaced) {
		t.Errorf("round = %v; want %v", err, errReplaced)
	}
	again, err := b.js.Stream(t.Context(), info.Config.Name)
	if err != nil {
		t.Fatal(err)
	}
	if n := again.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("the new stream keeps %d messages; want 1, which nobody has handled", n)
	}
}
