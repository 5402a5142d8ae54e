package shop

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/policy"

	"github.com/parley-io/parley/examples/shop/billing"
	"github.com/parley-io/parley/examples/shop/cards"
	"github.com/parley-io/parley/examples/shop/mail"
	"github.com/parley-io/parley/examples/shop/prices"
	"github.com/parley-io/parley/examples/shop/stock"
	"github.com/parley-io/parley/examples/shop/storefront"
)

// catalogue is what the shop sells, in cents.
var catalogue = map[string]int64{"espresso": 250, "cappuccino": 390, "filter": 310, "croissant": 280}

// pricesService knows what things cost.
func pricesService(*parley.Client, *Journal, Options) []parley.Registration {
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

// stockService sets things aside; what they cost it asks the price service, so that an order is a chain of three calls.
func stockService(client *parley.Client, journal *Journal, _ Options) []parley.Registration {
	return []parley.Registration{
		stock.Reserve.Handle(func(ctx context.Context, r stock.Request) (stock.Reservation, error) {
			if r.Quantity > 20 {
				return stock.Reservation{}, parley.WithDetails(stock.ErrOutOfStock, stock.Shortage{Left: 20})
			}
			price, err := prices.Quote.Call(ctx, client, prices.Item{SKU: r.SKU, Quantity: r.Quantity})
			if err = journal.Called(prices.Quote.Address(), err); err != nil {
				return stock.Reservation{}, err
			}
			return stock.Reservation{OrderID: r.OrderID, Cents: price.Cents}, nil
		}),
	}
}

// cardsService is the card processor, which the demo lets fail on purpose.
func cardsService(*parley.Client, *Journal, Options) []parley.Registration {
	return []parley.Registration{
		cards.Authorize.Handle(func(_ context.Context, p cards.Payment) (cards.Authorization, error) {
			return cards.Authorization{Reference: "auth-" + p.OrderID}, nil
		}),
	}
}

// billingService takes the money for orders, through the card processor.
func billingService(client *parley.Client, journal *Journal, o Options) []parley.Registration {
	charge := func(ctx context.Context, order billing.Order) error {
		_, err := cards.Authorize.Call(ctx, client, cards.Payment(order))
		if err = journal.Called(cards.Authorize.Address(), err); err != nil {
			return fmt.Errorf("card processor: %w", err)
		}
		m, _ := parley.MessageFrom(ctx)
		return journal.Handled(parley.StyleCommand, m.Address, "-", m.ID)
	}
	return []parley.Registration{billing.Charge.Handle(charge, handling(o)...)}
}

// mailService sends receipts and thanks customers.
func mailService(_ *parley.Client, journal *Journal, o Options) []parley.Registration {
	receipt := func(ctx context.Context, _ mail.Receipt) error {
		m, _ := parley.MessageFrom(ctx)
		return journal.Handled(parley.StyleCommand, m.Address, "-", m.ID)
	}
	return []parley.Registration{
		mail.SendReceipt.Handle(receipt, handling(o)...),
		storefront.OrderPlaced.Subscribe("mail", noting(journal, "mail"), subscribing(o)...),
	}
}

// warehouseService packs orders.
func warehouseService(_ *parley.Client, journal *Journal, o Options) []parley.Registration {
	return []parley.Registration{storefront.OrderPlaced.Subscribe("warehouse", noting(journal, "warehouse"), subscribing(o)...)}
}

// fraudService looks at orders.
func fraudService(_ *parley.Client, journal *Journal, o Options) []parley.Registration {
	return []parley.Registration{storefront.OrderPlaced.Subscribe("fraud", noting(journal, "fraud"), subscribing(o)...)}
}

// analyticsService joins late and replays the history from its start.
func analyticsService(_ *parley.Client, journal *Journal, o Options) []parley.Registration {
	return []parley.Registration{
		storefront.Sold.Subscribe("analytics", noting(journal, "analytics"), append(subscribing(o), parley.FromStart())...),
	}
}

// noting is the work of a subscriber: to note that it was done.
func noting(journal *Journal, group string) func(context.Context, storefront.Placed) error {
	return func(ctx context.Context, _ storefront.Placed) error {
		m, _ := parley.MessageFrom(ctx)
		return journal.Handled(parley.StyleEvent, m.Address, group, m.ID)
	}
}

func handling(o Options) (options []parley.HandleOption) {
	for _, r := range receiving(o) {
		options = append(options, r)
	}
	return options
}

func subscribing(o Options) (options []parley.SubscribeOption) {
	for _, r := range receiving(o) {
		options = append(options, r)
	}
	return options
}

// quickPolicy is for a story of a minute.
func quickPolicy() policy.Options {
	return policy.Options{Breaker: policy.BreakerOptions{Open: time.Second, MaxOpen: 4 * time.Second}}
}
