package shop

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/examples/shop/billing"
	"github.com/parley-io/parley/examples/shop/mail"
	"github.com/parley-io/parley/examples/shop/stock"
	"github.com/parley-io/parley/examples/shop/storefront"
)

// front is the storefront.
type front struct {
	client *parley.Client
	log    *outside.Log
}

// storefrontService takes orders. One function carries them out, whether the customer leaves with an id or waits at the
// counter: as an operation its steps are kept, and go on after a crash; as a call it is an ordinary function.
func storefrontService(client *parley.Client, log *outside.Log) []parley.Registration {
	f := &front{client, log}
	return []parley.Registration{
		storefront.PlaceOrder.Handle(1, outside.Ending(log, f.place)),
		storefront.OrderNow.Handle(f.place),
	}
}

// place reserves by a call, then charges and thanks by commands and tells everybody by events, side by side. An order that
// fails gives back what it had reserved.
func (f *front) place(ctx context.Context, o storefront.Order) (storefront.Confirmation, error) {
	parley.Undo(ctx, "release", func(ctx context.Context) error {
		defer f.log.Step(ctx)()
		_, err := stock.Release.Call(ctx, f.client, stock.Return{OrderID: o.OrderID})
		return f.log.Called(stock.Release.Address(), err)
	})
	reserved, err := parley.Step(ctx, "reserve", func(ctx context.Context) (stock.Reservation, error) {
		defer f.log.Step(ctx)()
		r, err := stock.Reserve.Call(ctx, f.client, stock.Request{OrderID: o.OrderID, SKU: o.SKU, Quantity: o.Quantity})
		return r, f.log.Called(stock.Reserve.Address(), err)
	})
	switch {
	case errors.Is(err, stock.ErrOutOfStock):
		shortage, _ := parley.DetailsOf[stock.Shortage](err)
		return storefront.Confirmation{}, parley.WithDetails(storefront.ErrSoldOut, storefront.Shortage(shortage))
	case err != nil:
		return storefront.Confirmation{}, err
	case o.MaxCents > 0 && reserved.Cents > o.MaxCents:
		return storefront.Confirmation{}, parley.WithDetails(storefront.ErrOverBudget, storefront.Total{Cents: reserved.Cents})
	}
	placed := storefront.Placed{OrderID: o.OrderID, Email: o.Email, SKU: o.SKU, Quantity: o.Quantity, Cents: reserved.Cents}
	for _, told := range f.tell(ctx, placed) {
		if _, err := told.Get(ctx); err != nil {
			return storefront.Confirmation{}, err
		}
	}
	return storefront.Confirmation{OrderID: o.OrderID, Cents: reserved.Cents}, nil
}

// tell begins to send what follows from an order.
func (f *front) tell(ctx context.Context, p storefront.Placed) []*parley.Future[parley.MessageID] {
	send := func(name string, style parley.Style, address string, send func(context.Context) (parley.MessageID, error)) *parley.Future[parley.MessageID] {
		return parley.Go(ctx, name, func(ctx context.Context) (parley.MessageID, error) {
			defer f.log.Step(ctx)()
			id, err := send(ctx)
			return id, f.log.Confirmed(style, address, id, err)
		})
	}
	return []*parley.Future[parley.MessageID]{
		send("charge", parley.StyleCommand, billing.Charge.Address(), func(ctx context.Context) (parley.MessageID, error) {
			return billing.Charge.Send(ctx, f.client, billing.Order{OrderID: p.OrderID, Cents: p.Cents})
		}),
		send("receipt", parley.StyleCommand, mail.SendReceipt.Address(), func(ctx context.Context) (parley.MessageID, error) {
			return mail.SendReceipt.Send(ctx, f.client, mail.Receipt{OrderID: p.OrderID, Email: p.Email, Cents: p.Cents})
		}),
		send("placed", parley.StyleEvent, storefront.OrderPlaced.Address(), func(ctx context.Context) (parley.MessageID, error) {
			return storefront.OrderPlaced.Publish(ctx, f.client, p)
		}),
		send("sold", parley.StyleEvent, storefront.Sold.Address(), func(ctx context.Context) (parley.MessageID, error) {
			return storefront.Sold.Publish(ctx, f.client, p)
		}),
	}
}

// customer orders once. Most leave with an id, and come back for their order; every fifth or so waits at the counter.
func customer(client *parley.Client, log *outside.Log) func(context.Context, string, *rand.Rand) {
	return func(ctx context.Context, number string, random *rand.Rand) {
		order := newOrder(number, random)
		id := parley.WithID(parley.MessageID(order.OrderID))
		if random.IntN(5) == 0 {
			_, err := storefront.OrderNow.Call(ctx, client, order, id)
			_ = log.Called(storefront.OrderNow.Address(), err) // who is refused goes away
			return
		}
		outcome, undos := expected(order)
		log.Expected(storefront.PlaceOrder.Address(), parley.MessageID(order.OrderID), outcome, undos...)
		x, err := storefront.PlaceOrder.Start(ctx, client, order, id)
		if log.Started(storefront.PlaceOrder.Address(), x.ID, err) == nil {
			_, _ = x.Wait(ctx, client) // who has no time left, or is refused, goes away
		}
	}
}

// newOrder is what a customer wants. Some want more than there is, and some have too little money.
func newOrder(number string, random *rand.Rand) storefront.Order {
	names := []string{"ada", "grace", "edsger", "barbara", "tony"}
	goods := slices.Sorted(maps.Keys(catalogue))
	o := storefront.Order{
		OrderID:  "order-" + number,
		Email:    names[random.IntN(len(names))] + "@example.com",
		SKU:      goods[random.IntN(len(goods))],
		Quantity: 1 + random.IntN(5),
	}
	switch random.IntN(20) {
	case 0:
		o.Quantity = onShelf + 5
	case 1, 2:
		o.MaxCents = 100 // for which there is nothing
	}
	return o
}

// expected is what must become of an order, and what must be undone then.
func expected(o storefront.Order) (outcome string, undos []string) {
	cents := catalogue[o.SKU] * int64(o.Quantity)
	switch {
	case o.Quantity > onShelf:
		return storefront.ErrSoldOut.Name, []string{"undo:release"}
	case o.MaxCents > 0 && cents > o.MaxCents:
		return storefront.ErrOverBudget.Name, []string{"undo:release"}
	}
	return outside.OK, nil
}
