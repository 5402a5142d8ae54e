package mem_test

import (
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestANewGroupOfAStreamBeginsWhereItSays(t *testing.T) {
	bubble(t, func(r *rig) {
		receipts := r.send(history.Address, "a", "b")
		time.Sleep(minute)
		noon := time.Now()
		r.send(history.Address, "c", "d")
		for name, c := range map[string]struct {
			from transport.Position
			want []string
		}{
			"now":      {transport.Position{}, nil},
			"start":    {transport.Position{Start: true}, []string{"a", "b", "c", "d"}},
			"time":     {transport.Position{Time: noon}, []string{"c", "d"}},
			"later":    {transport.Position{Time: noon.Add(1)}, nil},
			"position": {transport.Position{At: receipts[1].Position}, []string{"b", "c", "d"}},
		} {
			r.Log(name)
			r.handle(r.client, transport.Route{Channel: history, Group: name, From: c.from}).want(c.want...)
			r.handle(r.client, transport.Route{Channel: history, From: c.from}).want(c.want...)
		}
		again := transport.Route{Channel: history, Group: "start", From: transport.Position{Start: true}}
		r.handle(r.client, again).want() // the group is not new
	})
}

func TestAReaderOfItsOwnLeavesNothingBehind(t *testing.T) {
	bubble(t, func(r *rig) {
		group := r.handle(r.client, transport.Route{Channel: history, Group: "g"})
		reader := r.handle(r.client, transport.Route{Channel: history})
		if n := r.send(history.Address, "a")[0].Groups; n != 1 {
			r.Errorf("Receipt.Groups = %d, want 1: a reader is no group", n)
		}
		reader.want("a")
		group.want("a")
		if err := reader.end(); err != nil {
			r.Errorf("Receive = %v, want nil", err)
		}
		r.send(history.Address, "b")
		group.want("b")
	})
}

func TestAReplayEndsBeforeItsBoundOnceAllIsSettled(t *testing.T) {
	bubble(t, func(r *rig) {
		receipts := r.send(history.Address, "a", "b", "c")
		start := transport.Position{Start: true}
		in := r.hold(r.client, transport.Route{Channel: history, From: start, Until: transport.Position{At: receipts[2].Position}})
		got := in.deliveries()
		if len(got) != 2 || in.result() != errRuns {
			r.Fatalf("%d deliveries before position of c, want 2 and a Receive that waits for them", len(got))
		}
		done(got)
		if err := in.result(); err != nil {
			r.Errorf("Receive = %v at its bound, want nil", err)
		}
		later := r.handle(r.client, transport.Route{Channel: history, From: start, Until: transport.Position{Time: time.Now().Add(minute)}})
		later.want("a", "b", "c")
		time.Sleep(minute - 1)
		r.send(history.Address, "d")
		later.want("d")
		time.Sleep(time.Nanosecond)
		r.send(history.Address, "e")
		later.want()
		if err := later.result(); err != nil {
			r.Errorf("Receive = %v when its time has come, want nil", err)
		}
		if err := r.handle(r.client, transport.Route{Channel: history, Until: start}).result(); err != nil {
			r.Errorf("Receive until the start = %v, want nil at once", err)
		}
	})
}

func TestAStreamDropsItsOldestMessagesByAgeAndSize(t *testing.T) {
	bubble(t, func(r *rig) {
		ring := transport.Channel{Address: "ring", Pattern: transport.Stream, Retain: time.Hour, RetainBytes: 8}
		r.declare(ring)
		paused := r.hold(r.client, transport.Route{Channel: ring, Group: "paused", Credit: transport.NewCredit(0)})
		send := func(id string) {
			r.sendAll(&transport.Envelope{ID: id, Address: "ring", Body: []byte("1234")})
		}
		start := transport.Position{Start: true}
		send("a")
		time.Sleep(time.Hour / 2)
		send("b")
		send("c")
		r.handle(r.client, transport.Route{Channel: ring, From: start}).want("b", "c")
		waiting, _, err := r.client.Broker().Backlog(r.Context(), ring, "paused")
		if waiting != 2 || err != nil {
			r.Errorf("Backlog = %d, %v; want 2: a is no longer kept", waiting, err)
		}
		time.Sleep(time.Hour / 2)
		send("d")
		time.Sleep(time.Hour/2 + 1)
		r.handle(r.client, transport.Route{Channel: ring, From: start}).want("d")
		r.handle(r.client, transport.Route{Channel: ring, Group: "paused"}).want("d")
		paused.want()
	})
}
