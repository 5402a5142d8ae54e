package kafka_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/parley-io/parley/internal/servers"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/kafka"
	"github.com/parley-io/parley/transport/transporttest"
)

func fewerPartitions(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b := open(t, s, prefix)
	admin := kadm.NewClient(raw(t, s))
	topic := prefix + ".orders.v1.placed"
	if _, err := admin.CreateTopic(t.Context(), 3, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	c := transport.Channel{Address: "orders.v1.placed", Pattern: transport.Topic, Partitions: 5}
	err := b.Declare(t.Context(), []transport.Channel{c})
	if !errors.Is(err, transport.ErrRefused) || !strings.Contains(err.Error(), "with 3 partitions") || !strings.Contains(err.Error(), "topic of 5 partitions") {
		t.Errorf("Declare = %v; want ErrRefused, naming 3 partitions and a topic of 5", err)
	}
	if err := b.Receive(t.Context(), transport.Route{Channel: c, Group: "g"}, func(*transport.Delivery) {}); !errors.Is(err, transport.ErrRefused) {
		t.Errorf("Receive = %v; want ErrRefused, as going on is useless", err)
	}
	if r := b.Send(t.Context(), []*transport.Envelope{envelope(c, "k")}); !errors.Is(r[0].Err, transport.ErrRefused) {
		t.Errorf("receipt = %v; want ErrRefused", r[0].Err)
	}
}

func losing(t *testing.T, s *servers.Server) {
	admin := kadm.NewClient(raw(t, s))
	c := transport.Channel{Address: "orders.v1.placed", Pattern: transport.Queue, Partitions: 1}
	good := map[string]*string{
		"cleanup.policy": new("delete"), "retention.ms": new("-1"), "retention.bytes": new("-1"), "message.timestamp.type": new("LogAppendTime"),
	}
	for _, x := range []struct{ topic, key, found, want string }{
		{c.Address, "cleanup.policy", "compact", "delete"},
		{c.Address, "retention.ms", "1000", "-1"},
		{c.Address, "retention.bytes", "1000", "-1"},
		{c.Address, "message.timestamp.type", "CreateTime", "LogAppendTime"},
		{c.Address, "unclean.leader.election.enable", "true", "false"},
		{"DELAY", "cleanup.policy", "delete", "compact"},
		{"REGISTRY", "retention.ms", "1000", "-1"},
		{c.Address, "", "", ""}, // what somebody made is taken over if it fits
	} {
		t.Run(x.topic+" "+x.key, func(t *testing.T) {
			t.Parallel()
			prefix := prefix()
			settings := maps.Clone(good)
			if x.key != "" {
				settings[x.key] = &x.found
			}
			partitions := map[string]int32{c.Address: 1, "DELAY": 4, "REGISTRY": 1}[x.topic]
			if _, err := admin.CreateTopic(t.Context(), partitions, 1, settings, prefix+"."+x.topic); err != nil {
				t.Fatal(err)
			}
			err := open(t, s, prefix).Declare(t.Context(), []transport.Channel{c})
			if x.key == "" {
				if err != nil {
					t.Errorf("Declare = %v; want nil", err)
				}
				return
			}
			if found := x.key + "=" + x.found + ", want " + x.want; !errors.Is(err, transport.ErrRefused) || !strings.Contains(err.Error(), found) {
				t.Errorf("Declare = %v; want ErrRefused that says %q", err, found)
			}
		})
	}
}

func deleted(t *testing.T, s *servers.Server) {
	prefix := prefix()
	b, other := open(t, s, prefix), open(t, s, prefix)
	c := transport.Channel{Address: "gone.v1.queue", Pattern: transport.Queue, Partitions: 1}
	declare(t, b, c)
	declare(t, other, c)
	send(t, b, envelope(c, "k"))
	send(t, other, envelope(c, "k"))
	admin := kadm.NewClient(raw(t, s))
	topic := prefix + "." + c.Address
	if _, err := admin.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	for gone := false; !gone; { // the brokers learn of it a moment later
		all, err := admin.ListTopics(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		gone = !all.Has(topic)
	}
	for _, b := range []*kafka.Broker{b, other} {
		declare(t, b, c)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for { // the client library learns of the new topic
			e := envelope(c, "k")
			r := b.Send(ctx, []*transport.Envelope{e})[0]
			if r.Err == nil {
				break
			}
			t.Logf("receipt: %v", r.Err)
			if ctx.Err() != nil {
				t.Fatalf("receipt = %v; want nil once the channel is declared again", r.Err)
			}
		}
	}
	x := transporttest.StartReceiving(t, other, transport.Route{Channel: c})
	x.Done(2)
	x.Stop()
	if n, _, err := b.Backlog(t.Context(), c, ""); n != 0 || err != nil {
		t.Errorf("Backlog = %d, %v; want 0: the new topic's messages were settled", n, err)
	}
}
