package shop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/network"

	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/examples/shop/stock"
	"github.com/parley-io/parley/examples/shop/storefront"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Customers come for a minute. Every order ends as it must, some of them for want of goods or of money, and what those had
// reserved is given back.
func TestEveryOrderEndsAsExpected(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict=%v", strict), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Options{Journal: t.TempDir(), Strict: strict}
				o.Orders.PerSecond, o.Orders.For = 2, 30250*time.Millisecond
				run(t, o)
				time.Sleep(2 * time.Minute)
				story := read(t, o)
				outcomes := make(map[string]int)
				for _, op := range story.Operations {
					for _, p := range op.Problems(Stages()) {
						t.Errorf("%s; its steps: %+v", p, op.Steps)
					}
					outcomes[op.Expected]++
				}
				for _, want := range []string{outside.OK, storefront.ErrSoldOut.Name, storefront.ErrOverBudget.Name} {
					if outcomes[want] == 0 {
						t.Errorf("no order was to end with %s, want some: %v", want, outcomes)
					}
				}
				if all := len(story.Operations); all < 30 || all >= 60 {
					t.Errorf("%d of 60 orders were operations, want most", all)
				}
				if lost := story.Lost(groups); len(lost) > 0 {
					t.Errorf("confirmed and not handled: %v", lost)
				}
			})
		})
	}
}

// One function handles both: whoever waits at the counter gets the same answers as who leaves with an id.
func TestAnOrderIsTheSameAsACallAndAsAnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Journal: t.TempDir()}
		client := run(t, o)
		for i, x := range []struct {
			order storefront.Order
			want  *parley.Error
		}{
			{storefront.Order{SKU: "espresso", Quantity: 2}, nil},
			{storefront.Order{SKU: "espresso", Quantity: 2, MaxCents: 500}, nil},
			{storefront.Order{SKU: "espresso", Quantity: 2, MaxCents: 499}, storefront.ErrOverBudget},
			{storefront.Order{SKU: "espresso", Quantity: 21}, storefront.ErrSoldOut},
		} {
			x.order.OrderID, x.order.Email = fmt.Sprintf("order-%d", i), "ada@example.com"
			called, callErr := storefront.OrderNow.Call(t.Context(), client, x.order)
			id := parley.MessageID(x.order.OrderID)
			waited, waitErr := storefront.PlaceOrder.Call(t.Context(), client, x.order, parley.WithID(id))
			want := storefront.Confirmation{}
			if x.want == nil {
				want = storefront.Confirmation{OrderID: x.order.OrderID, Cents: 500}
			}
			if called != want || waited != want {
				t.Errorf("order %d: %+v by call, %+v by operation, want %+v", i, called, waited, want)
			}
			for _, err := range []error{callErr, waitErr} {
				if x.want == nil && err != nil || x.want != nil && !errors.Is(err, x.want) {
					t.Errorf("order %d: error %v, want %v", i, err, x.want)
				}
			}
			if released := asks(t, client, id, stock.Release.Address()); released != (x.want != nil) {
				t.Errorf("order %d: what it reserved was given back: %v, want %v", i, released, x.want != nil)
			}
			if x.want == storefront.ErrSoldOut {
				if left, _ := parley.DetailsOf[storefront.Shortage](waitErr); left.Left != onShelf {
					t.Errorf("order %d: %+v, want to learn that %d are left", i, left, onShelf)
				}
			}
		}
		time.Sleep(time.Minute)
		story := read(t, o)
		told := make(map[string]int)
		for _, m := range story.Confirmed {
			told[m.Address]++
		}
		for address, n := range told {
			if n != 4 {
				t.Errorf("%d messages to %s, want one for each of the 4 orders that went well: %v", n, address, told)
			}
		}
		if len(told) != 4 {
			t.Errorf("messages to %v, want two commands and two events", told)
		}
		if released := story.Called[outside.Call{Address: stock.Release.Address(), Outcome: outside.OK}]; released != 4 {
			t.Errorf("%d reservations were released, want those of the 4 orders that failed", released)
		}
	})
}

func TestAnUnknownServiceIsRefused(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), nil, []string{"mail", "bakery"}, Options{})
	if err == nil || !strings.Contains(err.Error(), "bakery") || !strings.Contains(err.Error(), "warehouse") {
		t.Errorf("Run = %v, want an error that names bakery and lists what there is", err)
	}
}

// asks reports whether an operation has called an address, by its trail.
func asks(t *testing.T, client *parley.Client, id parley.MessageID, address string) bool {
	t.Helper()
	time.Sleep(time.Second) // for the ledger
	trail, err := client.Follow(t.Context(), id)
	if err != nil {
		t.Fatalf("Follow(%s) = %v", id, err)
	}
	return slices.ContainsFunc(trail.Hops, func(h ledger.Hop) bool { return h.Address == address })
}

// groups are those that an event of the shop is for; the late joiner has not joined.
func groups(address string) []string {
	if address == storefront.OrderPlaced.Address() {
		return []string{"warehouse", "mail", "fraud"}
	}
	return nil
}

// run runs the shop in one process until the end of the test; the client is of somebody in it.
func run(t *testing.T, o Options) *parley.Client {
	t.Helper()
	net, err := network.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	client, err := parley.NewClient("passer-by", net)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, net, nil, o) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, net.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return client
}

func read(t *testing.T, o Options) *outside.Story {
	t.Helper()
	story, err := outside.Read(o.Journal)
	if err != nil {
		t.Fatal(err)
	}
	return story
}
