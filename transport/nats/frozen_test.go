package nats_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

// frozen is a server, and a Broker with a Receive of a channel, and what ends when that has returned.
func frozen(t *testing.T) (b transport.Broker, c transport.Channel, ended chan error) {
	t.Helper()
	s := startProcess(t, nil)
	b, err := connectTo(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c = transport.Channel{Address: "a.b", Pattern: transport.Queue, Partitions: 4}
	if err := b.Declare(t.Context(), []transport.Channel{c}); err != nil {
		t.Fatal(err)
	}
	ready, got := make(chan struct{}), make(chan struct{}, 1000)
	ended = make(chan error, 1)
	go func() {
		r := transport.Route{Channel: c, Ready: func() { close(ready) }}
		ended <- b.Receive(context.Background(), r, func(d *transport.Delivery) {
			d.Settle(transport.Done)
			got <- struct{}{}
		})
	}()
	<-ready
	for n := range 4 {
		if r := b.Send(t.Context(), []*transport.Envelope{envelope(c, fmt.Sprint(n))})[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
		<-got
	}
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Thaw(); err != nil {
			t.Error(err)
		}
	})
	return b, c, ended
}

const (
	allowed = time.Second
	grace   = 4 * time.Second // for a machine that is busy, and a write that runs
)

func closeFrozen(t *testing.T, b transport.Broker, ended chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), allowed)
	defer cancel()
	begin := time.Now()
	if err := b.Close(ctx); err == nil {
		t.Error("Close = nil; want it to say that something was given up")
	}
	<-ended
	if took := time.Since(begin); took > allowed+grace {
		t.Errorf("Close took %v; want %v, and what a write may take", took, allowed)
	}
}

func TestAFrozenServerDelaysNoCloseBeyondItsContext(t *testing.T) {
	t.Parallel()
	b, _, ended := frozen(t)
	closeFrozen(t, b, ended)
}

// A server that is frozen reads nothing: what is written waits for room in the socket, which no context ends.
func TestAFrozenServerDelaysNoSendBeyondItsContext(t *testing.T) {
	t.Parallel()
	b, c, ended := frozen(t)
	var batch []*transport.Envelope
	for range 60 {
		e := envelope(c, "")
		e.Body = bytes.Repeat([]byte("7"), 200<<10)
		batch = append(batch, e)
	}
	ctx, cancel := context.WithTimeout(t.Context(), allowed)
	defer cancel()
	begin := time.Now()
	for _, r := range b.Send(ctx, batch) {
		if r.Err == nil || strings.Contains(r.Err.Error(), "not sent") && strings.Contains(r.Err.Error(), "unknown") {
			t.Errorf("receipt: %v; want either not sent or unknown", r.Err)
		}
	}
	if took := time.Since(begin); took > allowed+grace/4 {
		t.Errorf("Send took %v; want %v", took, allowed)
	}
	closeFrozen(t, b, ended)
}
