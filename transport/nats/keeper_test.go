package nats_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// lag is a connection over which everything that the server says comes late.
type lag struct {
	*embedded.Server
	by   time.Duration
	runs *sync.WaitGroup
}

func (l lag) InProcessConn() (net.Conn, error) {
	server, err := l.Server.InProcessConn()
	if err != nil {
		return nil, err
	}
	here, there := net.Pipe()
	type said struct {
		what []byte
		at   time.Time
	}
	line := make(chan said, 10_000)
	l.runs.Go(func() {
		defer close(line)
		b := make([]byte, 1<<16)
		for {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			line <- said{bytes.Clone(b[:n]), time.Now().Add(l.by)}
		}
	})
	l.runs.Go(func() {
		defer func() { _ = there.Close() }() // a pipe's Close does not fail
		for s := range line {
			time.Sleep(time.Until(s.at)) // the subject of the test
			if _, err := there.Write(s.what); err != nil {
				_ = server.Close() // the client has closed
			}
		}
	})
	return &lagConn{here, server}, nil
}

// lagConn reads late and writes at once.
type lagConn struct {
	net.Conn
	server net.Conn
}

func (c *lagConn) Write(b []byte) (int, error) { return c.server.Write(b) }

func (c *lagConn) Close() error { return errors.Join(c.server.Close(), c.Conn.Close()) }

func TestPartitionsHaveAnOwnerAlsoWhenEachAnswerTakesMoreThanASecond(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	link := lag{s, 1020 * time.Millisecond, new(sync.WaitGroup)}
	t.Cleanup(link.runs.Wait)
	b, err := nats.Open(t.Context(), nats.Options{InProcess: link, Token: s.Token()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIt(t, b) })
	c := keyed
	c.Partitions = 1
	declare(t, b, c)
	begin := time.Now()
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	t.Logf("ready after %v", time.Since(begin))
	e := envelope(c, "k")
	send(t, b, e)
	if d := x.Next(); d.Envelope.ID != e.ID || !d.Valid() {
		t.Errorf("got %s, valid %v; want %s, true", d.Envelope.ID, d.Valid(), e.ID)
	} else {
		d.Settle(transport.Done)
	}
	x.Stop()
}

// bucket is the ownership keys of keyed's group g as an operator sees them.
func bucket(t *testing.T, s *embedded.Server) jetstream.KeyValue {
	t.Helper()
	kv, err := rawJetStream(t, s).KeyValue(t.Context(), "parley_owners")
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

const ownerOf = "owner.parley_orders_v1_placed.g.%d"

// await waits until a key says something that is right, and returns it.
func await(t *testing.T, kv jetstream.KeyValue, key string, right func(string) bool) jetstream.KeyValueEntry {
	t.Helper()
	for begin := time.Now(); ; {
		e, err := kv.Get(t.Context(), key)
		if err == nil && right(string(e.Value())) {
			return e
		}
		if time.Since(begin) > patience {
			t.Fatalf("%s is %v, %v; want another value", key, e, err)
		}
	}
}

// A claim may be stored without the claimant's knowing: then others wait for it, though it does not want it any longer.
func TestAClaimThatWasNotConfirmedIsGivenUpWhenItIsNotWanted(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := keyed
	c.Partitions = 2
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	kv := bucket(t, s)
	member := func(v string) bool { return v != "free" }
	first := string(await(t, kv, fmt.Sprintf(ownerOf, 0), member).Value())
	await(t, kv, fmt.Sprintf(ownerOf, 1), member)
	if _, err := kv.Create(t.Context(), "member.parley_orders_v1_placed.g.ghost-1", nil); err != nil { // believed for a LeaseTTL
		t.Fatal(err)
	}
	free := await(t, kv, fmt.Sprintf(ownerOf, 1), func(v string) bool { return v == "free" })
	if _, err := kv.Update(t.Context(), free.Key(), []byte(first), free.Revision()); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	await(t, kv, free.Key(), func(v string) bool { return v == "free" })
	if took := time.Since(begin); took > nats.LeaseTTL/2 {
		t.Errorf("given up after %v; want at once, while there is another who may want it", took)
	}
	x.Stop()
}

func TestAReceiveWhosePartitionsAreGoneRevokesWhatItHandedOut(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := keyed
	c.Partitions = 1
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: "g"})
	send(t, b, envelope(c, "k"))
	d := x.Next()
	if err := rawJetStream(t, s).DeleteConsumer(t.Context(), "parley_orders_v1_placed", "g_0"); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]<-chan struct{}{"Yield": d.Yield, "Revoked": d.Revoked} {
		select {
		case <-c:
		case <-time.After(patience):
			t.Fatalf("%s is open; want it closed when the receiver has failed", what)
		}
	}
	if d.Valid() {
		t.Error("Valid = true; want false")
	}
	if err := <-x.Ended; !errors.Is(err, transport.ErrNotFound) {
		t.Errorf("Receive = %v; want ErrNotFound", err)
	}
}
