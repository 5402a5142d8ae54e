package nats_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

// cable is a connection to a server that can be cut, and plugged into another server.
type cable struct {
	mu    sync.Mutex
	to    *embedded.Server // nil = unplugged
	conns []net.Conn
}

func (c *cable) InProcessConn() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.to == nil {
		return nil, errors.New("unplugged")
	}
	conn, err := c.to.InProcessConn()
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

// plug connects to a server, nil = to none, after cutting what is connected.
func (c *cable) plug(s *embedded.Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = s
	for _, conn := range c.conns {
		_ = conn.Close() // cutting twice is fine
	}
	c.conns = nil
}

func openOver(t testing.TB, c *cable) *nats.Broker {
	t.Helper()
	b, err := nats.Open(t.Context(), nats.Options{InProcess: c})
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = b.Close(ctx) // one that is cut has deliveries that nobody settles
	})
	return b
}

func TestOrderSurvivesTheDeathOfALoneReceiver(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	js := rawJetStream(t, s)
	for _, pattern := range []transport.Pattern{transport.Queue, transport.Topic} {
		c := transport.Channel{Address: "a." + pattern.String(), Pattern: pattern, Partitions: 2}
		dying := &cable{to: s}
		dead := openOver(t, dying)
		declare(t, dead, c)
		first := transporttest.StartReceiving(t, dead, transport.Route{Channel: c, Group: group(c), Credit: transport.NewCredit(20)})
		var batch []*transport.Envelope
		for range 60 {
			batch = append(batch, envelope(c, "k"))
		}
		b := open(t, s)
		declare(t, b, c)
		send(t, b, batch...)
		first.Next() // stays unsettled; what follows is settled out of order
		settled := []*transport.Delivery{first.Next(), first.Next()}
		for _, d := range settled {
			d.Settle(transport.Done)
		}
		for range 19 { // the credit comes back as the two are acknowledged
			first.Next()
		}
		keeps(t, js, "parley_a_"+pattern.String(), 58) // else they come again, on a queue
		dying.plug(nil)
		again := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: group(c)})
		begin := time.Now()
		got := again.Done(58)
		want := append([]*transport.Envelope{batch[0]}, batch[3:]...)
		if strings.Join(got, " ") != idsOf(want) {
			t.Errorf("%v: got %v; want %v", pattern, got, idsOf(want))
		}
		if took := time.Since(begin); took >= nats.AckWait {
			t.Errorf("%v: what was on the way came after %v; want less than AckWait", pattern, took)
		}
		again.Stop()
	}
}

func TestAReceiverThatIsNotAloneLeavesTheOthersTheirs(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	one, two := open(t, s), open(t, s)
	declare(t, one, c)
	x := transporttest.StartReceiving(t, one, transport.Route{Channel: c, Credit: transport.NewCredit(1)})
	held, next := envelope(c, ""), envelope(c, "")
	send(t, one, held, next)
	d := x.Next()
	y := transporttest.StartReceiving(t, two, transport.Route{Channel: c})
	z := transporttest.StartReceiving(t, one, transport.Route{Channel: c})
	select {
	case e := <-y.Got:
		if e.Envelope.ID != next.ID {
			t.Errorf("got %s, which another has; want %s", e.Envelope.ID, next.ID)
		}
		e.Settle(transport.Done)
	case e := <-z.Got:
		if e.Envelope.ID != next.ID {
			t.Errorf("got %s, which another has; want %s", e.Envelope.ID, next.ID)
		}
		e.Settle(transport.Done)
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	d.Settle(transport.Done)
	x.Stop()
	y.Stop()
	z.Stop()
}

func TestNothingIsLostOrDisorderedWhenTheConnectionIsCut(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	c := transport.Channel{Address: "a.b", Pattern: transport.Stream, Partitions: 1}
	b := open(t, s)
	declare(t, b, c)
	wire := &cable{to: s}
	cut := openOver(t, wire)
	declare(t, cut, c)
	group := transporttest.StartReceiving(t, cut, transport.Route{Channel: c, Group: "g", Credit: transport.NewCredit(10)})
	reader := transporttest.StartReceiving(t, cut, transport.Route{Channel: c, Credit: transport.NewCredit(10)})
	var batch []*transport.Envelope
	for range 300 {
		batch = append(batch, envelope(c, "k"))
	}
	sent := make(chan bool)
	go func() {
		defer close(sent)
		for i := 0; i < len(batch); i += 30 {
			send(t, b, batch[i:i+30]...)
		}
	}()
	for name, x := range map[string]*transporttest.Receiving{"group": group, "reader": reader} {
		seen := 0 // what was settled may come again, if its acknowledgement was lost; nothing new may come too early
		for i := 0; seen < len(batch); i++ {
			if i%70 == 35 {
				wire.plug(s)
			}
			d := x.Next()
			if at := indexOf(batch, d.Envelope.ID); at > seen {
				t.Fatalf("%s: message %d came before %d", name, at, seen)
			} else if at == seen {
				seen++
			}
			d.Settle(transport.Done)
		}
	}
	<-sent
	wire.plug(s)
	if r := sendUntil(t, cut, envelope(c, "k")); r.Err != nil {
		t.Errorf("sending over the connection that came back: %v; want nil", r.Err)
	}
}

func indexOf(batch []*transport.Envelope, id string) int {
	for i, e := range batch {
		if e.ID == id {
			return i
		}
	}
	return -1
}

// sendUntil repeats what is not sent, or whose outcome is unknown, as a client does.
func sendUntil(t testing.TB, b *nats.Broker, e *transport.Envelope) transport.Receipt {
	t.Helper()
	for begin := time.Now(); ; {
		r := b.Send(t.Context(), []*transport.Envelope{e})[0]
		if r.Err == nil || errors.Is(r.Err, transport.ErrRefused) || time.Since(begin) > patience {
			return r
		}
	}
}

func TestReceiversSurviveARestartOfTheServer(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]bool{"with its data": true, "without its data": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			wire := &cable{to: s}
			b := openOver(t, wire)
			queue := transport.Channel{Address: "a.queue", Pattern: transport.Queue}
			stream := transport.Channel{Address: "a.stream", Pattern: transport.Stream}
			declare(t, b, queue, stream)
			xs := []*transporttest.Receiving{
				transporttest.StartReceiving(t, b, transport.Route{Channel: queue}),
				transporttest.StartReceiving(t, b, transport.Route{Channel: stream, Group: "g"}),
				transporttest.StartReceiving(t, b, transport.Route{Channel: stream}),
			}
			send(t, b, envelope(queue, ""), envelope(stream, ""))
			for _, x := range xs {
				x.Done(1)
			}
			wire.plug(nil)
			closeIt(t, s)
			if r := b.Send(t.Context(), []*transport.Envelope{envelope(queue, "")})[0]; !errors.Is(r.Err, transport.ErrNotSent) {
				t.Errorf("receipt without a connection: %v; want ErrNotSent", r.Err)
			}
			if !keep {
				dir = t.TempDir()
			}
			next := startServer(t, embedded.Options{Dir: dir})
			wire.plug(next)
			one, two := envelope(queue, ""), envelope(stream, "")
			for _, e := range []*transport.Envelope{one, two} {
				if r := sendUntil(t, b, e); r.Err != nil {
					t.Fatalf("receipt after the restart: %v; want none", r.Err)
				}
			}
			for i, want := range []string{one.ID, two.ID, two.ID} {
				xs[i].DoneUntil(want)
			}
			for _, x := range xs {
				x.Stop()
			}
		})
	}
}

func TestAContextThatIsDoneLeavesTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	frozen := &freezer{Server: s, thaw: make(chan struct{})}
	b, err := nats.Open(t.Context(), nats.Options{InProcess: frozen})
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, b)
	c := transport.Channel{Address: "a.b", Pattern: transport.Queue}
	declare(t, b, c)
	frozen.freeze()
	var once sync.Once
	thaw := func() { once.Do(func() { close(frozen.thaw) }) }
	defer thaw()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	flying := envelope(c, "")
	first := b.Send(ctx, []*transport.Envelope{flying})[0]
	if first.Err == nil || errors.Is(first.Err, transport.ErrNotSent) || errors.Is(first.Err, transport.ErrRefused) || !errors.Is(first.Err, context.DeadlineExceeded) {
		t.Errorf("receipt of a message on its way: %v; want an unknown outcome because the deadline is over", first.Err)
	}
	queued := b.Send(ctx, []*transport.Envelope{envelope(c, "")})[0]
	if !errors.Is(queued.Err, transport.ErrNotSent) {
		t.Errorf("receipt of a message that was not begun: %v; want ErrNotSent", queued.Err)
	}
	thaw()
	send(t, b, flying) // the same again: stored once
	send(t, b, envelope(c, ""))
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c})
	if got := x.Done(2); got[0] != flying.ID || got[1] == flying.ID {
		t.Errorf("got %v; want %s once and another", got, flying.ID)
	}
	x.Stop()
}

// freezer gives connections whose answers can be held up.
type freezer struct {
	*embedded.Server
	thaw chan struct{}
	mu   sync.Mutex
	on   bool
}

func (f *freezer) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = true
}

func (f *freezer) InProcessConn() (net.Conn, error) {
	c, err := f.Server.InProcessConn()
	return &slowConn{c, f}, err
}

type slowConn struct {
	net.Conn
	f *freezer
}

func (c *slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.f.mu.Lock()
	on := c.f.on
	c.f.mu.Unlock()
	if on {
		<-c.f.thaw
	}
	return n, err
}
