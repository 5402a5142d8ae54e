package servers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/internal/servers"
)

// Clusters of Kafka and RabbitMQ take a minute each to lose all their nodes in turn; the battery has them.
func TestAClusterKeepsWhatWasStoredWhileEachOfItsNodesIsLostInTurn(t *testing.T) {
	t.Parallel()
	ctx := soon(t)
	c, err := servers.StartCluster(ctx, servers.NATS, servers.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.KeepLogs(t.Failed())
		if err := c.Stop(context.Background()); err != nil {
			t.Errorf("Stop = %v; want nil", err)
		}
	})
	if err := withJetStream(ctx, c.Nodes[0].URL, func(js jetstream.JetStream) error {
		stream := jetstream.StreamConfig{Name: place, Subjects: []string{place}, Replicas: len(c.Nodes)}
		if _, err := js.CreateStream(ctx, stream); err != nil {
			return err
		}
		_, err := js.Publish(ctx, place, []byte("kept"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for i, node := range c.Nodes {
		if err := node.Kill(); err != nil {
			t.Fatal(err)
		}
		alone, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		if err := c.InSync(alone); err == nil {
			t.Errorf("InSync without node %d = nil; want an error that names what it lacks", i+1)
		}
		cancel()
		other := c.Nodes[(i+1)%len(c.Nodes)]
		text, err := "", errors.New("not asked")
		for err != nil && ctx.Err() == nil { // until there is a leader again; what was asked before may never be answered
			one, cancel := context.WithTimeout(ctx, 2*time.Second)
			text, err = getNATS(one, other.URL)
			cancel()
		}
		if text != "kept" {
			t.Errorf("get without node %d = %q, %v; want kept", i+1, text, err)
		}
		if err := node.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if err := c.InSync(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
