package shop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/shop/billing"
	"github.com/parley-io/parley/examples/shop/mail"
	"github.com/parley-io/parley/examples/shop/stock"
	"github.com/parley-io/parley/examples/shop/storefront"
)

// storefrontService takes orders: it reserves by a call, charges and thanks by commands, and tells everybody by events.
// The ids derive from the order's, so that placing an order again after a failure in the middle repeats nothing.
func storefrontService(client *parley.Client, journal *Journal, _ Options) []parley.Registration {
	place := func(ctx context.Context, o storefront.Order) (storefront.Confirmation, error) {
		reserved, err := stock.Reserve.Call(ctx, client, stock.Request{OrderID: o.OrderID, SKU: o.SKU, Quantity: o.Quantity})
		switch err = journal.Called(stock.Reserve.Address(), err); {
		case errors.Is(err, stock.ErrOutOfStock):
			shortage, _ := parley.DetailsOf[stock.Shortage](err)
			return storefront.Confirmation{}, parley.Errorf(parley.FailedPrecondition, "only %d left of %s", shortage.Left, o.SKU)
		case err != nil:
			return storefront.Confirmation{}, err
		}
		placed := storefront.Placed{OrderID: o.OrderID, Email: o.Email, SKU: o.SKU, Quantity: o.Quantity, Cents: reserved.Cents}
		if err := tell(ctx, client, journal, placed); err != nil {
			return storefront.Confirmation{}, err
		}
		return storefront.Confirmation{OrderID: o.OrderID, Cents: reserved.Cents}, nil
	}
	return []parley.Registration{storefront.PlaceOrder.Handle(place)}
}

// tell sends what follows from an order, and notes what was confirmed.
func tell(ctx context.Context, client *parley.Client, journal *Journal, p storefront.Placed) error {
	id := func(what string) parley.MessageCallOption {
		return parley.WithID(parley.MessageID(p.OrderID + "-" + what))
	}
	steps := []struct {
		style   parley.Style
		address string
		send    func() (parley.MessageID, error)
	}{
		{parley.StyleCommand, billing.Charge.Address(), func() (parley.MessageID, error) {
			return billing.Charge.Send(ctx, client, billing.Order{OrderID: p.OrderID, Cents: p.Cents}, id("charge"))
		}},
		{parley.StyleCommand, mail.SendReceipt.Address(), func() (parley.MessageID, error) {
			return mail.SendReceipt.Send(ctx, client, mail.Receipt{OrderID: p.OrderID, Email: p.Email, Cents: p.Cents}, id("receipt"))
		}},
		{parley.StyleEvent, storefront.OrderPlaced.Address(), func() (parley.MessageID, error) {
			return storefront.OrderPlaced.Publish(ctx, client, p, id("placed"))
		}},
		{parley.StyleEvent, storefront.Sold.Address(), func() (parley.MessageID, error) {
			return storefront.Sold.Publish(ctx, client, p, id("sold"))
		}},
	}
	for _, s := range steps {
		sent, err := s.send()
		if err != nil {
			return err
		}
		if err := journal.Confirmed(s.style, s.address, sent); err != nil {
			return err
		}
	}
	return nil
}

// customers place orders at an even pace until ctx is done or their time is over. Each waits for its own order only.
func customers(ctx context.Context, client *parley.Client, journal *Journal, w Workload) error {
	if w.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.For)
		defer cancel()
	}
	names := []string{"ada", "grace", "edsger", "barbara", "tony"}
	goods := slices.Sorted(maps.Keys(catalogue))
	random := rand.New(rand.NewPCG(w.Seed, 1))
	run := strconv.FormatInt(time.Now().UnixMilli(), 36) // keeps the orders of two runs apart
	tick := time.NewTicker(time.Duration(float64(time.Second) / w.PerSecond))
	defer tick.Stop()
	var waiting errgroup.Group
	waiting.SetLimit(64)
	for n := 1; ; n++ {
		order := storefront.Order{
			OrderID:  fmt.Sprintf("order-%s-%d", run, 1000+n),
			Email:    names[random.IntN(len(names))] + "@example.com",
			SKU:      goods[random.IntN(len(goods))],
			Quantity: 1 + random.IntN(5),
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return waiting.Wait()
		}
		waiting.Go(func() error {
			// An order that was begun is placed even when the shop closes.
			_, err := storefront.PlaceOrder.Call(context.WithoutCancel(ctx), client, order, parley.WithID(parley.MessageID(order.OrderID)))
			_ = journal.Called(storefront.PlaceOrder.Address(), err) // who was refused goes away
			return nil
		})
	}
}
