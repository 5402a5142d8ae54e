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

// swept is an unordered Queue with one group that receives nothing by itself, for a sweep that is played by hand.
type swept struct {
	t     *testing.T
	b     *Broker
	c     transport.Channel
	info  *jetstream.StreamInfo // of the stream that sweep has begun with
	sweep *sweep
}

const sweptSubject = "parley.a_b.0"

// newSwept begins with n messages.
func newSwept(t *testing.T, n int) *swept {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b, err := Open(t.Context(), Options{InProcess: server, Token: server.Token()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := &swept{t: t, b: b, c: transport.Channel{Address: "a.b", Pattern: transport.Queue}}
	s.info, s.sweep = s.create(n), newSweep(b, s.c, queueGroup, 0)
	s.sweep.begin(s.info)
	return s
}

// create makes the stream with n messages, and the group.
func (s *swept) create(n int) *jetstream.StreamInfo {
	s.t.Helper()
	info, err := s.b.create(s.t.Context(), s.c)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.b.js.CreateConsumer(s.t.Context(), info.Config.Name, groupConfig(queueGroup, s.b.names.filters(s.c, ""))); err != nil {
		s.t.Fatal(err)
	}
	for range n {
		if _, err := s.b.js.Publish(s.t.Context(), sweptSubject, nil); err != nil {
			s.t.Fatal(err)
		}
	}
	return info
}

// note has the sweep hear of a message that was handled.
func (s *swept) note(sequence uint64) {
	s.sweep.note(&entry{
		msg:  &natsio.Msg{Subject: sweptSubject},
		meta: &natsio.MsgMetadata{Sequence: natsio.SequencePair{Stream: sequence}}, created: s.info.Created,
	})
}

// acknowledge tells the server that n messages more are handled.
func (s *swept) acknowledge(n int) {
	s.t.Helper()
	c, err := s.b.js.Consumer(s.t.Context(), s.b.names.stream(s.c.Address), queueGroup)
	if err != nil {
		s.t.Fatal(err)
	}
	for range n {
		m, err := c.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := m.DoubleAck(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *swept) keeps(want uint64) {
	s.t.Helper()
	stream, err := s.b.js.Stream(s.t.Context(), s.b.names.stream(s.c.Address))
	if err != nil {
		s.t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != want {
		s.t.Errorf("the stream keeps %d messages; want %d, which nobody has handled", n, want)
	}
}

// A server that came back without its data has another stream in the place of the one that is lost, whose sequences are
// those of other messages.
func TestASweepLeavesAnotherStreamAlone(t *testing.T) {
	t.Parallel()
	s := newSwept(t, 1)
	s.note(1)
	if err := s.b.js.DeleteStream(t.Context(), s.info.Config.Name); err != nil {
		t.Fatal(err)
	}
	s.create(1)
	if err := s.sweep.round(t.Context(), true); !errors.Is(err, errReplaced) {
		t.Errorf("round = %v; want %v", err, errReplaced)
	}
	s.keeps(1)
}

// A consumer that is made anew, or set back, has handled nothing; and some servers take a purge up to its floor, 0, for one
// of everything.
func TestASweepPurgesNothingUpToAFloorThatWentBack(t *testing.T) {
	t.Parallel()
	s := newSwept(t, 4)
	round := func() {
		t.Helper()
		if err := s.sweep.round(t.Context(), false); err != nil {
			t.Fatalf("round = %v; want nil", err)
		}
	}
	s.acknowledge(2)
	s.note(1)
	s.note(2)
	round()
	s.keeps(2)
	asked, err := s.b.nc.SubscribeSync("$JS.API.STREAM.PURGE." + s.info.Config.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.b.js.ResetConsumerToSequence(t.Context(), s.info.Config.Name, queueGroup, 1); err != nil {
		t.Fatal(err)
	}
	s.note(3) // its acknowledgement came too late
	round()
	s.keeps(2)
	if n, _, err := asked.Pending(); n != 0 || err != nil {
		t.Errorf("the server was asked for %d purges, %v; want none", n, err)
	}
	s.acknowledge(1)
	round()
	s.keeps(1)
	if n, _, err := asked.Pending(); n != 1 || err != nil {
		t.Errorf("the server was asked for %d purges, %v; want 1 once the floor has risen", n, err)
	}
}
