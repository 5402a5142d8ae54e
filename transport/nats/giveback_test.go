package nats_test

import (
	"strings"
	"testing"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// A server that starts again has forgotten what was given back to it, and delivers newer messages first.
func TestWhatAnOwnerGaveBackIsNotLostWhenTheServerStartsAgain(t *testing.T) {
	t.Parallel()
	for _, pattern := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		t.Run("embedded, "+pattern.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			wire := &cable{to: s}
			giveBackAndGoOn(t, openOver(t, wire), pattern, func() *nats.Broker {
				wire.plug(nil)
				closeIt(t, s)
				return open(t, startServer(t, embedded.Options{Dir: dir}))
			})
		})
	}
	t.Run("a process that is killed", func(t *testing.T) {
		t.Parallel()
		s := startProcess(t, nil)
		connect := func() *nats.Broker {
			b, err := nats.Open(t.Context(), nats.Options{URL: s.URL, Survives: "power"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closeIt(t, b) })
			return b
		}
		giveBackAndGoOn(t, connect(), transport.Queue, func() *nats.Broker {
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			return connect()
		})
	})
}

// giveBackAndGoOn handles some of a partition's messages by b, gives the others back, and handles these by another Broker
// after restart.
func giveBackAndGoOn(t *testing.T, b *nats.Broker, pattern transport.Pattern, restart func() *nats.Broker) {
	t.Helper()
	c := transport.Channel{Address: "a.b", Pattern: pattern, Partitions: 1}
	declare(t, b, c)
	r := transport.Route{Channel: c, Group: group(c), From: transport.Position{Start: true}, Credit: transport.NewCredit(10)}
	x := transporttest.StartReceiving(t, b, r)
	var batch []*transport.Envelope
	for range 40 {
		batch = append(batch, envelope(c, "k"))
	}
	for _, e := range batch { // one by one: the receiver has some on the way when the last is stored
		send(t, b, e)
	}
	handled := x.Done(3)
	x.Cancel()
	for ended := false; !ended; {
		select {
		case d := <-x.Got:
			d.Settle(transport.Return)
		case err := <-x.Ended:
			if err != nil {
				t.Errorf("Receive = %v; want nil", err)
			}
			ended = true
		}
	}
	closeIt(t, b)
	b = restart()
	declare(t, b, c)
	r.Credit = nil
	y := transporttest.StartReceiving(t, b, r)
	handled = append(handled, y.Done(len(batch)-len(handled))...)
	if got := strings.Join(handled, " "); got != idsOf(batch) {
		t.Errorf("handled %v; want %v", got, idsOf(batch))
	}
	last := envelope(c, "k")
	send(t, b, last)
	y.DoneUntil(last.ID)
	y.Stop()
	if n, _, err := b.Backlog(t.Context(), c, group(c)); n != 0 || err != nil {
		t.Errorf("Backlog = %d, %v; want 0", n, err)
	}
}
