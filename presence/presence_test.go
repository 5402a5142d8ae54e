package presence_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/presence"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAnInstanceIsThereFromItsAnnouncementToItsGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a, b := join(t, fabric, "a"), join(t, fabric, "b")
		orders := parley.Instance{
			Service: "orders", ID: "o1", Peer: "http://127.0.0.1:1", Answers: []string{"orders.v1.get-quote"},
			Receives: []parley.Reception{{Address: "payments.v1.captured", Group: "orders"}}, Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		}
		leave := announce(t, a, orders)
		if got := a.Instances(); len(got) != 1 {
			t.Errorf("its own process sees %v as Announce returns, want orders", got)
		}
		synctest.Wait()
		if got := b.Instances(); len(got) != 1 || !reflect.DeepEqual(got[0], orders) {
			t.Errorf("another process sees %+v, want exactly %+v", got, orders)
		}
		if got := b.Peers("orders.v1.get-quote"); !reflect.DeepEqual(got, []string{orders.Peer}) {
			t.Errorf("peers of its address = %v, want %v", got, orders.Peer)
		}
		leaves := []func(context.Context) error{leave}
		leaves = append(leaves, announce(t, a, parley.Instance{Service: "orders", ID: "o2", Peer: "http://127.0.0.1:2", Answers: orders.Answers}))
		leaves = append(leaves, announce(t, a, parley.Instance{Service: "orders", ID: "o3", Peer: orders.Peer, Answers: orders.Answers}))
		synctest.Wait()
		if got := b.Peers("orders.v1.get-quote"); !reflect.DeepEqual(got, []string{orders.Peer, "http://127.0.0.1:2"}) {
			t.Errorf("peers of three instances behind two URLs = %v, want each URL once", got)
		}
		if got := b.Peers("orders.v1.other"); len(got) != 0 {
			t.Errorf("peers of another address = %v, want none", got)
		}
		time.Sleep(time.Hour)
		wantIDs(t, "after an hour", b, "o1", "o2", "o3")
		for _, leave := range slices.Concat(leaves, leaves) { // twice is fine
			if err := leave(t.Context()); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		wantIDs(t, "after the goodbyes", b)
		time.Sleep(time.Minute)
		wantIDs(t, "a minute after the goodbyes", b)
	})
}

func TestAnnouncingAgainReplacesWhatWasSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a, b := join(t, fabric, "a"), join(t, fabric, "b")
		announce(t, a, parley.Instance{Service: "stock", ID: "s1", Peer: "http://old", Answers: []string{"stock.v1.get"}})
		announce(t, a, parley.Instance{Service: "stock", ID: "s1", Peer: "http://new", Answers: []string{"stock.v1.get"}})
		time.Sleep(5 * time.Second)
		if got := b.Peers("stock.v1.get"); !reflect.DeepEqual(got, []string{"http://new"}) {
			t.Errorf("peers = %v, want the new one alone", got)
		}
	})
}

func TestAKilledInstanceIsGoneAfterSixSecondsAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		doomed := fabric.Process("doomed")
		announce(t, joinAs(t, doomed), parley.Instance{Service: "stock", ID: "s1"})
		observer := join(t, fabric, "observer") // announces nothing itself
		doomed.Kill()
		killed := time.Now()
		time.Sleep(3 * time.Second)
		wantServices(t, "3 s after the kill", observer, "stock")
		for changed := observer.Changed(); len(observer.Instances()) > 0; changed = observer.Changed() {
			select {
			case <-changed:
			case <-time.After(time.Minute):
				t.Fatal("not forgotten within a minute")
			}
		}
		if after := time.Since(killed); after < 4*time.Second || after > 8*time.Second {
			t.Errorf("forgotten %v after the kill, want 4 s (its last heartbeat may be 2 s old) to 8 s", after)
		}
	})
}

func TestARestartUnderANewIDIsThereAtOnceBesideItsDeadPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		process := fabric.Process("stock")
		announce(t, joinAs(t, process), parley.Instance{Service: "stock", ID: "s1"})
		process.Kill()
		again := join(t, fabric, "stock")
		announce(t, again, parley.Instance{Service: "stock", ID: "s2"})
		wantIDs(t, "after the restart", again, "s1", "s2")
		time.Sleep(8 * time.Second)
		wantIDs(t, "8 s later", again, "s2")
	})
}

func TestNobodyVanishesWhileTheBrokerIsAwayNorWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a, b := join(t, fabric, "a"), join(t, fabric, "b")
		announce(t, a, parley.Instance{Service: "orders", ID: "o1"})
		time.Sleep(time.Second) // so that their heartbeats alternate
		announce(t, b, parley.Instance{Service: "stock", ID: "s1"})
		for _, outage := range []time.Duration{time.Second, 5 * time.Second, 7 * time.Second, time.Minute, time.Hour} {
			time.Sleep(10 * time.Second)
			fabric.Stop()
			time.Sleep(outage)
			wantServices(t, fmt.Sprintf("a, broker away for %v", outage), a, "orders", "stock")
			fabric.Start()
			for range 20 {
				time.Sleep(500 * time.Millisecond)
				wantServices(t, fmt.Sprintf("a, broker back after %v", outage), a, "orders", "stock")
				wantServices(t, fmt.Sprintf("b, broker back after %v", outage), b, "orders", "stock")
			}
		}
	})
}

func TestAnInstanceKilledWhileTheBrokerIsAwayIsGoneSoonAfterItsReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		doomed := fabric.Process("doomed")
		announce(t, joinAs(t, doomed), parley.Instance{Service: "stock", ID: "s1"})
		observer := join(t, fabric, "observer")
		fabric.Stop()
		doomed.Kill()
		time.Sleep(time.Minute)
		fabric.Start()
		time.Sleep(10 * time.Second)
		wantServices(t, "10 s after the broker came back", observer)
	})
}

func TestAFrozenInstanceVanishesAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		frozen := &freezer{Broker: fabric.Process("frozen").Broker(), frozen: make(chan struct{}, 1)}
		p, err := presence.Join(t.Context(), frozen, presence.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer closeIt(t, p)
		announce(t, p, parley.Instance{Service: "stock", ID: "s1"})
		observer := join(t, fabric, "observer")
		frozen.frozen <- struct{}{}
		time.Sleep(8 * time.Second)
		wantServices(t, "frozen for 8 s", observer)
		<-frozen.frozen
		time.Sleep(2 * time.Second)
		wantServices(t, "2 s after the thaw", observer, "stock")
	})
}

func TestAnnounceWaitsForABrokerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		p := join(t, fabric, "a")
		fabric.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Announce(ctx, parley.Instance{Service: "stock", ID: "s1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Announce without a broker = %v, want its deadline", err)
		}
		time.AfterFunc(time.Minute, fabric.Start)
		announce(t, p, parley.Instance{Service: "stock", ID: "s2"})
		wantIDs(t, "after the broker came back", p, "s2")
	})
}

func TestALateJoinerKnowsEverythingWhenJoinReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a := join(t, fabric, "a")
		announce(t, a, parley.Instance{Service: "stock", ID: "s1"})
		for i := range 100 {
			if err := a.Register(t.Context(), fmt.Sprintf("shop.v1.event-%d", i), "mail"); err != nil {
				t.Fatal(err)
			}
		}
		b := join(t, fabric, "b")
		wantServices(t, "at once", b, "stock")
		if got, ok := b.Groups("shop.v1.event-99"); !ok || !reflect.DeepEqual(got, []string{"mail"}) {
			t.Errorf("Groups of the last registration = %v, %v at once; want mail", got, ok)
		}
	})
}

func TestAJoinerKnowsEverythingAlsoWhereClocksDisagree(t *testing.T) {
	for name, shift := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour, "unknown": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fabric := mem.New()
				a := join(t, fabric, "a")
				announce(t, a, parley.Instance{Service: "stock", ID: "s1"})
				for i := range 100 {
					register(t, a, fmt.Sprintf("shop.v1.event-%d", i), "mail")
				}
				began := time.Now()
				p, err := presence.Join(t.Context(), &clock{fabric.Process("b").Broker(), shift}, presence.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer closeIt(t, p)
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("Join took %v, want no wait for a clock", took)
				}
				synctest.Wait()
				wantServices(t, "at once", p, "stock")
				if got, ok := p.Groups("shop.v1.event-99"); !ok || !reflect.DeepEqual(got, []string{"mail"}) {
					t.Errorf("Groups of the last registration = %v, %v; want mail", got, ok)
				}
				time.Sleep(time.Minute)
				wantServices(t, "a minute later", p, "stock")
			})
		})
	}
}

// clock is a broker that keeps the announcements by a clock that is wrong by shift, or does not tell (0).
type clock struct {
	transport.Broker
	shift time.Duration
}

func (c *clock) Receive(ctx context.Context, r transport.Route, take func(*transport.Delivery)) error {
	return c.Broker.Receive(ctx, r, func(d *transport.Delivery) {
		if r.Channel.Address == "parley.presence" {
			if d.Accepted = d.Accepted.Add(c.shift); c.shift == 0 {
				d.Accepted = time.Time{}
			}
		}
		take(d)
	})
}

func TestAJoinerDoesNotTakeLongDeadInstancesForAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		doomed := fabric.Process("doomed")
		announce(t, joinAs(t, doomed), parley.Instance{Service: "stock", ID: "s1"})
		survivor := join(t, fabric, "survivor")
		doomed.Kill()
		time.Sleep(time.Minute)
		wantServices(t, "a joiner", join(t, fabric, "joiner"))
		wantServices(t, "the survivor", survivor)
	})
}

func TestJoinFailsWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		closeIt(t, join(t, fabric, "a")) // the channels are declared
		fabric.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p, err := presence.Join(ctx, fabric.Process("b").Broker(), presence.Options{}); err == nil {
			closeIt(t, p)
			t.Error("Join without a broker succeeded, want an error")
		}
	})
}

func TestGroupsAreKnownUntilTheyAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a := join(t, fabric, "a")
		b := join(t, fabric, "b")
		begin := time.Now()
		for _, group := range []string{"warehouse", "mail"} {
			register(t, a, "shop.v1.order-placed", group)
		}
		time.Sleep(time.Hour)
		register(t, b, "shop.v1.order-placed", "mail") // known: it stays registered since the beginning
		register(t, b, "shop.v1.order-cancelled", "mail")
		if got, ok := a.Groups("shop.v1.order-placed"); !ok || !reflect.DeepEqual(got, []string{"mail", "warehouse"}) {
			t.Errorf("Groups = %v, %v; want mail and warehouse", got, ok)
		}
		if got, ok := a.Groups("shop.v1.unheard-of"); !ok || len(got) != 0 {
			t.Errorf("Groups of an address without any = %v, %v; want none, and that to be certain", got, ok)
		}
		if err := b.Remove(t.Context(), "shop.v1.order-placed", "mail"); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(t.Context(), "shop.v1.order-placed", "mail"); !errors.Is(err, transport.ErrNotFound) {
			t.Errorf("removing it twice = %v, want ErrNotFound", err)
		}
		synctest.Wait()
		want := []presence.Registration{
			{Address: "shop.v1.order-cancelled", Group: "mail", Since: begin.Add(time.Hour)},
			{Address: "shop.v1.order-placed", Group: "warehouse", Since: begin},
		}
		late := join(t, fabric, "late")
		for who, p := range map[string]*presence.Presence{"a": a, "b": b, "a late joiner": late} {
			if got := p.Registrations(); !reflect.DeepEqual(got, want) {
				t.Errorf("Registrations of %s = %v, want %v", who, got, want)
			}
		}
		register(t, late, "shop.v1.order-placed", "mail")
		synctest.Wait()
		if got, _ := a.Groups("shop.v1.order-placed"); !reflect.DeepEqual(got, []string{"mail", "warehouse"}) {
			t.Errorf("Groups after a new registration = %v, want mail again", got)
		}
	})
}

func TestChangedTellsOfEachKindOfChangeAndOfNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a, b := join(t, fabric, "a"), join(t, fabric, "b")
		var leave func(context.Context) error
		for _, step := range []struct {
			name string
			do   func()
		}{
			{"an announcement", func() { leave = announce(t, a, parley.Instance{Service: "stock", ID: "s1"}) }},
			{"a registration", func() { register(t, a, "shop.v1.order-placed", "mail") }},
			{"a removal", func() { _ = a.Remove(t.Context(), "shop.v1.order-placed", "mail") }},
			{"a goodbye", func() { _ = leave(t.Context()) }},
			{"the end", func() { closeIt(t, b) }},
		} {
			changed := b.Changed()
			time.Sleep(time.Minute) // heartbeats only
			if closed(changed) {
				t.Errorf("Changed before %s although nothing had changed", step.name)
			}
			step.do()
			synctest.Wait()
			if !closed(changed) {
				t.Errorf("Changed did not tell of %s", step.name)
			}
		}
	})
}

func TestWhatCannotBeKnownAnyMoreIsNotGuessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		process := fabric.Process("a")
		p := joinAs(t, process)
		register(t, p, "shop.v1.order-placed", "mail")
		announce(t, p, parley.Instance{Service: "stock", ID: "s1"})
		process.Kill()
		synctest.Wait()
		if got, ok := p.Groups("shop.v1.order-placed"); ok {
			t.Errorf("Groups of a process that reads nothing any more = %v, true; want false", got)
		}
		wantServices(t, "calls go on", p, "stock")
		if err := p.Register(t.Context(), "shop.v1.order-placed", "fraud"); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Register = %v, want ErrClosed", err)
		}
	})
}

func TestRecordsOfAnotherFormat(t *testing.T) {
	for _, c := range []struct {
		name, address, body string
		known               bool // groups still are
	}{
		{"a newer announcement is ignored", "parley.presence", `{"v":2,"kind":"here","instance":"another form"}`, true},
		{"a newer registration makes groups uncertain", "parley.groups", `{"v":2,"address":["another form"]}`, false},
		{"what is no registration is ignored", "parley.groups", `hello`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fabric := mem.New()
				stranger := fabric.Process("stranger").Broker()
				p := join(t, fabric, "a")
				register(t, p, "shop.v1.order-placed", "mail")
				e := &transport.Envelope{ID: "x", Address: c.address, Body: []byte(c.body)}
				if r := stranger.Send(t.Context(), []*transport.Envelope{e}); r[0].Err != nil {
					t.Fatal(r[0].Err)
				}
				synctest.Wait()
				if got, ok := p.Groups("shop.v1.order-placed"); ok != c.known {
					t.Errorf("Groups = %v, %v; want %v", got, ok, c.known)
				}
				wantServices(t, "afterwards", p)
			})
		})
	}
}

func TestBadInstancesAndGroupsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := join(t, mem.New(), "a")
		if _, err := p.Announce(t.Context(), parley.Instance{Service: "Orders"}); err == nil {
			t.Error("an instance with a bad service and without an id was announced")
		}
		if err := p.Register(t.Context(), "Shop", "mail"); err == nil {
			t.Error("a bad address was registered")
		}
		if err := p.Register(t.Context(), "shop.v1.order-placed", ""); err == nil {
			t.Error("an empty group was registered")
		}
	})
}

func TestCloseSaysGoodbyeAndMayBeCalledTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New()
		a, b := join(t, fabric, "a"), join(t, fabric, "b")
		announce(t, a, parley.Instance{Service: "stock", ID: "s1"})
		closeIt(t, a)
		synctest.Wait()
		wantServices(t, "after the other's Close", b)
		closeIt(t, a)
	})
}

// freezer is a broker whose sends stand still while frozen holds something.
type freezer struct {
	transport.Broker
	frozen chan struct{}
}

func (f *freezer) Send(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
	f.frozen <- struct{}{}
	<-f.frozen
	return f.Broker.Send(ctx, batch)
}
