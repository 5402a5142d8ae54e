package testing

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport/mem"
)

// A dish takes ten minutes. The kitchen is killed after five, with the dish on the stove; another kitchen opens,
// and the dish is cooked after all. The trail of the one command shows all of it. None of this takes real time.
func TestADishOnTheStoveSurvivesTheKitchen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := mem.New() // the broker and the wires, which survive
		office := join(t, fabric, "office")
		stop, err := network.Collect(t.Context(), office)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		waiter, err := parley.NewClient("waiter", office)
		if err != nil {
			t.Fatal(err)
		}

		first := fabric.Process("kitchen")
		open(t, first)
		id, err := Cook.Send(t.Context(), waiter, Dish{Name: "soup", Minutes: 10})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		first.Kill() // kill -9
		time.Sleep(time.Minute)
		open(t, fabric.Process("kitchen"))

		trail, err := waiter.Await(t.Context(), id)
		if err != nil {
			t.Fatalf("Await = %v; want the dish to be cooked", err)
		}
		attempts := trail.Hops[0].Receivers[0].Attempts
		if len(attempts) != 2 || attempts[1].Error != "" || attempts[1].Took != 10*time.Minute {
			t.Errorf("attempts = %+v; want one that was cut off and one of ten minutes", attempts)
		}
		if gap := attempts[1].Began.Sub(attempts[0].Began); gap < 6*time.Minute {
			t.Errorf("the second attempt began %v after the first; want it after the second kitchen opened", gap)
		}
	})
}

// join makes a network for one process of a fabric; it is closed with the test.
func join(t *testing.T, f *mem.Fabric, name string) *parley.Network {
	t.Helper()
	return attach(t, f.Process(name))
}

func attach(t *testing.T, p *mem.Process) *parley.Network {
	t.Helper()
	net, err := network.Open(t.Context(), "mem://", network.WithProcess(p))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-p.Dead(): // nothing to be orderly about
			_ = net.Close(context.Background())
		default:
			if err := net.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return net
}

// open runs a kitchen in a process of its own until the process dies or the test ends.
func open(t *testing.T, p *mem.Process) {
	t.Helper()
	client, err := parley.NewClient("kitchen", attach(t, p))
	if err != nil {
		t.Fatal(err)
	}
	service, err := parley.NewService(client, Kitchen(client))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	<-service.Ready()
}
