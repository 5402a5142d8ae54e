package shop

import (
	"context"
	"fmt"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/examples/shop/billing"
	"github.com/parley-io/parley/examples/shop/cards"
	"github.com/parley-io/parley/examples/shop/mail"
	"github.com/parley-io/parley/examples/shop/prices"
	"github.com/parley-io/parley/examples/shop/stock"
	"github.com/parley-io/parley/examples/shop/storefront"
)

// catalogue is what the shop sells, in cents.
var catalogue = map[string]int64{"espresso": 250, "cappuccino": 390, "filter": 310, "croissant": 280}

// onShelf is how much of one thing there is at a time.
const onShelf = 20

// pricesService knows what things cost.
func pricesService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{
		prices.Quote.Handle(func(_ context.Context, item prices.Item) (prices.Price, error) {
			cents, ok := catalogue[item.SKU]
			if !ok {
				return prices.Price{}, prices.ErrUnknownItem
			}
			return prices.Price{Cents: cents * int64(item.Quantity)}, nil
		}),
	}
}

// stockService sets things aside; what they cost it asks the price service, so that an order is a chain of calls. Its
// shelves are filled up by themselves, so there is nothing to remember about an order.
func stockService(client *parley.Client, log *outside.Log) []parley.Registration {
	return []parley.Registration{
		stock.Reserve.Handle(func(ctx context.Context, r stock.Request) (stock.Reservation, error) {
			if r.Quantity > onShelf {
				return stock.Reservation{}, parley.WithDetails(stock.ErrOutOfStock, stock.Shortage{Left: onShelf})
			}
			price, err := prices.Quote.Call(ctx, client, prices.Item{SKU: r.SKU, Quantity: r.Quantity})
			if err = log.Called(prices.Quote.Address(), err); err != nil {
				return stock.Reservation{}, err
			}
			return stock.Reservation{OrderID: r.OrderID, Cents: price.Cents}, nil
		}),
		stock.Release.Handle(func(_ context.Context, r stock.Return) (stock.Released, error) {
			return stock.Released(r), nil
		}),
	}
}

// cardsService is the card processor, which the demo lets fail on purpose.
func cardsService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{
		cards.Authorize.Handle(func(_ context.Context, p cards.Payment) (cards.Authorization, error) {
			return cards.Authorization{Reference: "auth-" + p.OrderID}, nil
		}),
	}
}

// billingService takes the money for orders, through the card processor.
func (o Options) billingService(client *parley.Client, log *outside.Log) []parley.Registration {
	charge := func(ctx context.Context, order billing.Order) error {
		_, err := cards.Authorize.Call(ctx, client, cards.Payment(order))
		if err = log.Called(cards.Authorize.Address(), err); err != nil {
			return fmt.Errorf("card processor: %w", err)
		}
		log.HandledCommand(ctx)
		return nil
	}
	// An order that cannot be paid is given up while the processor is down, for people to see: without this, billing
	// would pause and let all of them wait.
	return []parley.Registration{billing.Charge.Handle(charge, append(o.Handling(), parley.NoKillSwitch())...)}
}

// mailService sends receipts and thanks customers.
func (o Options) mailService(_ *parley.Client, log *outside.Log) []parley.Registration {
	receipt := func(ctx context.Context, _ mail.Receipt) error {
		log.HandledCommand(ctx)
		return nil
	}
	return []parley.Registration{
		mail.SendReceipt.Handle(receipt, o.Handling()...),
		storefront.OrderPlaced.Subscribe("mail", noting(log, "mail"), o.Subscribing()...),
	}
}

// warehouseService packs orders.
func (o Options) warehouseService(_ *parley.Client, log *outside.Log) []parley.Registration {
	return []parley.Registration{storefront.OrderPlaced.Subscribe("warehouse", noting(log, "warehouse"), o.Subscribing()...)}
}

// fraudService looks at orders.
func (o Options) fraudService(_ *parley.Client, log *outside.Log) []parley.Registration {
	return []parley.Registration{storefront.OrderPlaced.Subscribe("fraud", noting(log, "fraud"), o.Subscribing()...)}
}

// analyticsService joins late and replays the history from its start.
func (o Options) analyticsService(_ *parley.Client, log *outside.Log) []parley.Registration {
	return []parley.Registration{
		storefront.Sold.Subscribe("analytics", noting(log, "analytics"), append(o.Subscribing(), parley.FromStart())...),
	}
}

// noting is the work of a subscriber: to note that it was done.
func noting(log *outside.Log, group string) func(context.Context, storefront.Placed) error {
	return func(ctx context.Context, _ storefront.Placed) error {
		log.HandledEvent(ctx, group)
		return nil
	}
}
