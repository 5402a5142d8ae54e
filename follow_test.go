package parley_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/network"
)

// open is a mem network with everything, and a client on it.
func open(t *testing.T, name string) *parley.Client {
	t.Helper()
	net, err := network.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := net.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c, err := parley.NewClient(name, net, parley.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheTrailOfAnEventShowsEachGroupWithItsAttemptsAndWhatIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := open(t, "cafe")
		ok := func(context.Context, order) error { return nil }
		stop := w.serve(c, served.Subscribe("stopped", ok))
		stop()
		w.serve(beside(t, c, "till"), served.Subscribe("till", ok))
		w.serve(beside(t, c, "kitchen"), served.Subscribe("kitchen", func(context.Context, order) error { return errors.New("no plates") }))
		id, err := served.Publish(t.Context(), c, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		trail, err := c.Follow(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(trail.Hops) != 1 || trail.Settled {
			t.Fatalf("Follow = %+v; want one hop that is not settled", trail)
		}
		states := map[string]ledger.Receiver{}
		for _, r := range trail.Hops[0].Receivers {
			states[r.Group] = r
		}
		if r := states["till"]; r.State != ledger.Handled {
			t.Errorf("till = %+v; want done", r)
		}
		if r := states["stopped"]; r.State != ledger.Waiting || len(r.Attempts) != 0 {
			t.Errorf("stopped = %+v; want waiting, for it is expected", r)
		}
		if r := states["kitchen"]; r.State != ledger.Retrying || len(r.Attempts) != 3 || r.Of != 6 ||
			r.Attempts[2].Error != "no plates" || time.Until(r.Next) < 6*time.Second {
			t.Errorf("kitchen = %+v; want 3 of 6 attempts failed and the next in about ten seconds", r)
		}
	})
}

func TestAwaitEndsWhenEveryReceiverIsDoneOrOneHasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := open(t, "cafe")
		w.serve(c,
			brew.Handle(func(context.Context, order) error { time.Sleep(time.Minute); return nil }, parley.HandlerTimeout(time.Hour)),
			clean.Handle(func(context.Context, order) error { return parley.Permanent(errors.New("no soap")) }),
		)
		id, err := brew.Send(t.Context(), c, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if trail, err := c.Await(t.Context(), id); err != nil || len(trail.Hops) != 1 {
			t.Errorf("Await = %+v, %v; want the trail of the one command", trail, err)
		}
		if took := time.Since(began).Round(time.Second); took != time.Minute {
			t.Errorf("Await took %v; want the minute of the handler", took)
		}
		id, err = clean.Send(t.Context(), c, order{Table: "1", Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Await(t.Context(), id); !errors.Is(err, parley.ErrDeadLettered) {
			t.Errorf("Await of a permanent failure = %v; want ErrDeadLettered", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		id, err = sold.Publish(t.Context(), c, order{Drink: "tea"})
		if err != nil {
			t.Fatal(err)
		}
		if trail, err := c.Await(ctx, id); err != nil || !trail.Hops[0].Nobody {
			t.Errorf("Await of an event without subscribers = %+v, %v; want its trail, with nobody", trail, err)
		}
	})
}

func TestFollowingWithoutACollectorSaysHowToStartOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newWorld(t).client("guest").Follow(t.Context(), "x")
		if !errors.Is(err, parley.ErrNoCollector) {
			t.Errorf("Follow = %v; want ErrNoCollector", err)
		}
		_, err = open(t, "guest").Follow(t.Context(), "x")
		if parley.CodeOf(err) != parley.NotFound {
			t.Errorf("Follow of an unknown id = %v; want NotFound", err)
		}
	})
}

// beside is another service on the network of c.
func beside(t *testing.T, c *parley.Client, name string) *parley.Client {
	t.Helper()
	other, err := parley.NewClient(name, c.Network(), parley.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return other
}
