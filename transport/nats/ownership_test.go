package nats_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	natsio "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/nats"
	"github.com/parley-io/parley/transport/nats/embedded"
	"github.com/parley-io/parley/transport/transporttest"
)

var keyed = transport.Channel{Address: "orders.v1.placed", Pattern: transport.Topic, Partitions: 8}

// takeOver is how long the partitions of a silent process may stay without an owner on a machine that is busy.
const takeOver = 2 * nats.LeaseTTL

func TestMembersShareThePartitionsWhoeverJoinsAndLeaves(t *testing.T) {
	t.Parallel()
	for _, pattern := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		t.Run(pattern.String(), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, embedded.Options{})
			b := open(t, s)
			c := keyed
			c.Pattern = pattern
			crew := newCrew(t, b, c)
			one := crew.join("one", open(t, s))
			crew.busy(b, map[string]int{"one": 8})
			two := crew.join("two", open(t, s))
			crew.busy(b, map[string]int{"one": 4, "two": 4})
			three := crew.join("three", open(t, s))
			crew.busy(b, map[string]int{"one": 3, "two": 3, "three": 2})
			begin := time.Now()
			one.leave()
			crew.busy(b, map[string]int{"two": 4, "three": 4})
			if took := time.Since(begin); took >= nats.LeaseTTL {
				t.Errorf("the partitions of one that left were taken over after %v; want at once", took)
			}
			two.leave()
			crew.busy(b, map[string]int{"three": 8})
			three.leave()
			crew.verify(0)
		})
	}
}

func TestTheLastToJoinGetsItsShareOfFewPartitions(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := keyed
	c.Partitions = 3
	crew := newCrew(t, b, c)
	for _, name := range []string{"one", "two", "three", "idle"} {
		defer crew.join(name, b).leave() // on one connection: it is the Receive that is a member
	}
	crew.busy(b, map[string]int{"one": 1, "two": 1, "three": 1})
	crew.verify(0)
}

func TestThePartitionsOfAKilledProcessPassOn(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b, wire := open(t, s), &cable{to: s}
	crew := newCrew(t, b, keyed)
	victim := crew.join("victim", openOver(t, wire))
	crew.busy(b, map[string]int{"victim": 8})
	heir := crew.join("heir", open(t, s))
	crew.busy(b, map[string]int{"victim": 4, "heir": 4})
	victim.die(victim.hold())
	crew.publish(b, 3)
	wire.plug(nil)
	begin := time.Now()
	crew.handled()
	if took := time.Since(begin); took > takeOver || took < nats.LeaseTTL/2 {
		t.Errorf("taken over after %v; want after the lease, in less than %v", took, takeOver)
	}
	crew.busy(b, map[string]int{"heir": 8})
	heir.leave()
	crew.verify(crewKeys) // what the server did not hear of
}

// frost is a connection that can be frozen: what is written and read waits, and nothing breaks.
type frost struct {
	*embedded.Server
	mu sync.RWMutex // held while it is frozen
}

type frostConn struct {
	net.Conn
	f *frost
}

func (f *frost) InProcessConn() (net.Conn, error) {
	c, err := f.Server.InProcessConn()
	return &frostConn{c, f}, err
}

func (c *frostConn) Write(b []byte) (int, error) {
	c.f.mu.RLock()
	defer c.f.mu.RUnlock()
	return c.Conn.Write(b)
}

func (c *frostConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.f.mu.RLock()
	defer c.f.mu.RUnlock()
	return n, err
}

func TestAFrozenProcessBeginsNothingWhenItThaws(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	ice := &frost{Server: s}
	b := open(t, s)
	crew := newCrew(t, b, keyed)
	frozen, err := nats.Open(t.Context(), nats.Options{InProcess: ice})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeIt(t, frozen) })
	zombie := crew.join("zombie", frozen)
	crew.busy(b, map[string]int{"zombie": 8})
	heir := crew.join("heir", open(t, s))
	crew.busy(b, map[string]int{"zombie": 4, "heir": 4})
	goOn := zombie.hold()
	crew.publish(b, 3)
	ice.mu.Lock()
	crew.handled() // by the heir, but for what the zombie handled before
	goOn()         // with what it has in hand
	ice.mu.Unlock()
	crew.busy(b, map[string]int{"zombie": 4, "heir": 4})
	zombie.leave()
	heir.leave()
	crew.verify(crewKeys) // what the server did not hear of; nothing of the zombie's has a fence of the past
}

func TestALoneReceiverKeepsWhatItHasWhenTheServerWasAway(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	wire := &cable{to: s}
	b := openOver(t, wire)
	c := keyed
	c.Partitions = 1
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: group(c)})
	first, second := envelope(c, "k"), envelope(c, "k")
	send(t, b, first, second)
	held := x.Next()
	behind := x.Next()
	wire.plug(nil)
	away := time.Now()
	for held.Valid() {
		if time.Since(away) > patience {
			t.Fatal("Valid is still true; want false once others might have the partition")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(away); took >= nats.LeaseTTL {
		t.Errorf("Valid for %v; want less than the lease of %v", took, nats.LeaseTTL)
	}
	behind.Settle(transport.Return) // as a layer does that may not begin it
	held.Settle(transport.Done)
	wire.plug(s)
	d := x.Next()
	if d.Envelope.ID != second.ID || !d.Valid() || d.Fence != held.Fence || over(d.Revoked) || over(d.Yield) {
		t.Errorf("got %s, valid %v, fence %d; want %s, true, %d: nobody else had it", d.Envelope.ID, d.Valid(), d.Fence, second.ID, held.Fence)
	}
	d.Settle(transport.Done)
	last := envelope(c, "k")
	if r := sendUntil(t, b, last); r.Err != nil {
		t.Fatal(r.Err)
	}
	if got := x.Done(1)[0]; got != last.ID {
		t.Errorf("got %s; want %s: what was settled does not come again", got, last.ID)
	}
	x.Stop()
}

func TestAHandOverWaitsForWhatRunsAndNotForEver(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := keyed
	c.Partitions = 1
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: group(c)})
	batch := []*transport.Envelope{envelope(c, "k"), envelope(c, "k"), envelope(c, "k")}
	send(t, b, batch...)
	hung, queued, third := x.Next(), x.Next(), x.Next()
	y := transporttest.StartReceiving(t, open(t, s), transport.Route{Channel: c, Group: group(c)})
	x.Cancel() // the first to join would keep its one partition
	begin := time.Now()
	<-queued.Yield
	if over(hung.Revoked) {
		t.Error("Revoked is closed with Yield; want time for what runs")
	}
	queued.Settle(transport.Return)
	third.Settle(transport.Return)
	select {
	case <-hung.Revoked:
	case d := <-y.Got:
		t.Fatalf("%s came to the newcomer after %v, while the handler of %s runs; want it to wait", d.Envelope.ID, time.Since(begin), hung.Envelope.ID)
	}
	if took := time.Since(begin); took < transport.HandOver || took > transport.HandOver+patience/4 {
		t.Errorf("Revoked after %v; want after %v", took, transport.HandOver)
	}
	for _, e := range batch {
		d := y.Next()
		if d.Envelope.ID != e.ID || d.Fence <= hung.Fence {
			t.Errorf("got %s with fence %d; want %s with more than %d", d.Envelope.ID, d.Fence, e.ID, hung.Fence)
		}
		d.Settle(transport.Done)
	}
	if hung.Valid() {
		t.Error("Valid of what was revoked = true; want false")
	}
	hung.Settle(transport.Done) // too late, but Receive has waited for it
	if err := <-x.Ended; err != nil {
		t.Errorf("Receive = %v; want nil", err)
	}
	y.Stop()
}

func TestAllReceiversOfARemovedGroupEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := keyed
	c.Partitions = 1
	declare(t, b, c)
	route := transport.Route{Channel: c, Group: group(c)}
	owner, idle := transporttest.StartReceiving(t, b, route), transporttest.StartReceiving(t, open(t, s), route)
	if err := b.RemoveGroup(t.Context(), c, "g"); err != nil {
		t.Fatalf("RemoveGroup = %v; want nil", err)
	}
	for name, x := range map[string]*transporttest.Receiving{"the owner": owner, "the one without a partition": idle} {
		select {
		case err := <-x.Ended:
			if !errors.Is(err, transport.ErrNotFound) {
				t.Errorf("Receive of %s = %v; want an error wrapping ErrNotFound", name, err)
			}
		case <-time.After(patience):
			t.Errorf("Receive of %s goes on; want it to end", name)
		}
	}
	again := transporttest.StartReceiving(t, b, route)
	e := envelope(c, "k")
	send(t, b, e)
	if got := again.Done(1)[0]; got != e.ID {
		t.Errorf("the group that was made again got %s; want %s", got, e.ID)
	}
	again.Stop()
}

func TestWhatGoesToARequestOfAnotherComesAgainInOrder(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	c := keyed
	c.Pattern, c.Partitions = transport.Queue, 1
	declare(t, b, c)
	x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Credit: transport.NewCredit(1)})
	first := envelope(c, "k")
	send(t, b, first)
	held := x.Next()
	thief, err := natsio.Connect("", natsio.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	inbox, err := thief.SubscribeSync(thief.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	const next = "$JS.API.CONSUMER.MSG.NEXT.parley_orders_v1_placed._0"
	if err := thief.PublishRequest(next, inbox.Subject, []byte(`{"batch":1000,"expires":2000000000}`)); err != nil {
		t.Fatal(err)
	}
	var batch []*transport.Envelope
	for range 100 {
		batch = append(batch, envelope(c, "k"))
	}
	send(t, b, batch...)
	if _, err := inbox.NextMsg(patience); err != nil {
		t.Fatalf("the thief got %v; want a message", err)
	}
	held.Settle(transport.Done)
	if got := strings.Join(x.Done(len(batch)), " "); got != idsOf(batch) {
		t.Errorf("got %s; want %s", got, idsOf(batch))
	}
	x.Stop()
	if n, _, err := b.Backlog(t.Context(), c, ""); n != 0 || err != nil {
		t.Errorf("Backlog = %d, %v; want 0", n, err)
	}
}

func TestARestartedProcessWaitsNoLongerThanTheLease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := keyed
	c.Partitions = 2
	wait := func(clean bool) time.Duration { // of the process that comes next
		s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		wire := &cable{to: s}
		b := openOver(t, wire)
		declare(t, b, c)
		x := transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: group(c)})
		begin := time.Now()
		e := envelope(c, "k")
		send(t, b, e)
		x.DoneUntil(e.ID)
		took := time.Since(begin)
		if clean {
			x.Stop()
			closeIt(t, b)
		}
		wire.plug(nil)
		closeIt(t, s)
		return took
	}
	if took := wait(true); took > nats.LeaseTTL/2 {
		t.Errorf("the first process waited %v; want nothing to wait for", took)
	}
	if took := wait(false); took > nats.LeaseTTL/2 {
		t.Errorf("after an orderly end the next process waited %v; want nothing to wait for", took)
	}
	if took := wait(true); took > takeOver {
		t.Errorf("after a crash the next process waited %v; want no longer than %v", took, takeOver)
	}
}

func TestAnIdleProcessWritesItsLeaseAndNoMore(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Options{})
	b := open(t, s)
	const channels = 25
	var xs []*transporttest.Receiving
	for n := range channels {
		c := keyed
		c.Address = fmt.Sprintf("a.v1.n%d", n)
		declare(t, b, c)
		xs = append(xs, transporttest.StartReceiving(t, b, transport.Route{Channel: c, Group: group(c)}))
	}
	nc, err := natsio.Connect("", natsio.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	writes := func() int {
		s, err := js.Stream(t.Context(), "KV_parley_owners")
		if err != nil {
			t.Fatal(err)
		}
		return int(s.CachedInfo().State.LastSeq)
	}
	const rest = 3 * time.Second // the subject of the test
	before := writes()
	time.Sleep(rest)
	n := writes() - before
	t.Logf("%d partitions idle: %.2f writes a second", channels*keyed.Partitions, float64(n)/rest.Seconds())
	if most := int(rest/(nats.LeaseTTL/8)) + 2; n > most || n == 0 {
		t.Errorf("%d writes within %v; want 1 to %d, of the lease alone", n, rest, most)
	}
	for _, x := range xs {
		x.Stop()
	}
}
