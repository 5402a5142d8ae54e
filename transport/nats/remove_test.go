package nats_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

func TestRemoveAllLeavesNothingOfItsPrefixAndAllOfOthers(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.Options{})
	of := func(prefix string) *nats.Broker {
		b, err := nats.Open(t.Context(), nats.Options{InProcess: server, Prefix: prefix, Survives: server.Survives()})
		if err != nil {
			t.Fatalf("Open = %v; want nil", err)
		}
		t.Cleanup(func() { closeIt(t, b) })
		return b
	}
	for _, prefix := range []string{"gone", "gone-not", "go"} {
		b := of(prefix)
		for _, c := range []transport.Channel{
			{Address: "a.queue", Pattern: transport.Queue, Partitions: 2},
			{Address: "a.topic", Pattern: transport.Topic},
			{Address: "a.stream", Pattern: transport.Stream},
		} {
			declare(t, b, c)
			r := transport.Route{Channel: c, Group: "mail"}
			if c.Pattern == transport.Queue {
				r.Group = ""
			}
			x := transporttest.StartReceiving(t, b, r)
			later := envelope(c, "k")
			later.NotBefore = time.Now().Add(time.Hour)
			send(t, b, envelope(c, "k"), later)
			x.Done(1)
			x.Stop()
		}
		closeIt(t, b)
	}
	if before := streamNames(t, server); len(before) != 3*5 {
		t.Fatalf("got the streams %v; want five of each prefix, else nothing is tried", before)
	}
	if err := of("gone").RemoveAll(t.Context(), nil); err != nil {
		t.Errorf("RemoveAll = %v; want nil", err)
	}
	if err := of("gone").RemoveAll(t.Context(), nil); err != nil {
		t.Errorf("RemoveAll of nothing = %v; want nil", err)
	}
	left := streamNames(t, server)
	if len(left) != 2*5 || slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, "gone_") }) {
		t.Errorf("got the streams %v left; want those of the prefixes go and gone-not, all five of each", left)
	}
}

func streamNames(t *testing.T, s *embedded.Server) (names []string) {
	t.Helper()
	nc, err := natsio.Connect("", natsio.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	all := js.StreamNames(t.Context())
	for n := range all.Name() {
		names = append(names, n)
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}
