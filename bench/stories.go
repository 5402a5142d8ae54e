package main

import (
	"context"

	"github.com/parley-io/parley"
)

// The same two pieces of work in four styles each. An order of the shop is three things, one after the other: reserve,
// charge, tell. A loan of the bank is three checks side by side, a decision, and a payout. Every one of those things
// takes workTime at the service that does it.
var (
	shop = parley.NewAPI("shop", 1)

	shopReserve = parley.NewCall[piece, piece](shop, "reserve", parley.Idempotent())
	shopCharge  = parley.NewCall[piece, piece](shop, "charge", parley.Idempotent())
	shopTell    = parley.NewCall[piece, piece](shop, "tell", parley.Idempotent())

	shopNow      = parley.NewCall[piece, piece](shop, "order-now")
	shopLater    = parley.NewCommand[piece](shop, "order-later")
	shopOrdered  = parley.NewEvent[piece](shop, "ordered")
	shopReserved = parley.NewEvent[piece](shop, "reserved")
	shopCharged  = parley.NewEvent[piece](shop, "charged")
	shopOrder    = parley.NewOperation[piece, piece](shop, "order")

	bank = parley.NewAPI("bank", 1)

	bankCheck  = parley.NewCall[piece, piece](bank, "check", parley.Idempotent())
	bankPayOut = parley.NewCall[piece, piece](bank, "pay-out", parley.Idempotent())

	bankNow     = parley.NewCall[piece, piece](bank, "decide-now")
	bankLater   = parley.NewCommand[piece](bank, "decide-later")
	bankApplied = parley.NewEvent[piece](bank, "applied")
	bankChecked = parley.NewEvent[piece](bank, "checked").KeyedBy(func(p piece) string { return p.ID })
	bankGranted = parley.NewEvent[piece](bank, "granted")
	bankDecide  = parley.NewOperation[piece, piece](bank, "decide")
)

// piece is an order or an application, and what is answered to it.
type piece struct {
	ID    string `json:"id" minLength:"1" maxLength:"60"`
	Check string `json:"check,omitzero" maxLength:"20"` // of the bank: one of checks
}

var checks = []string{"credit", "fraud", "income"}

// style is one way to have the work of a story done.
type style struct {
	name string
	// ask gives the work away; it returns when the caller may go on.
	ask func(ctx context.Context, c *parley.Client, p piece) error
}

var styles = []style{
	{"shop call", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := shopNow.Call(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
	{"shop command", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := shopLater.Send(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
	{"shop events", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := shopOrdered.Publish(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
	{"shop operation", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := shopOrder.Start(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
	{"bank call", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := bankNow.Call(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
	{"bank command", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := bankLater.Send(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
	{"bank events", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := bankApplied.Publish(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
	{"bank operation", func(ctx context.Context, c *parley.Client, p piece) error {
		_, err := bankDecide.Start(ctx, c, p, parley.WithID(parley.MessageID(p.ID)))
		return err
	}},
}

// carryOutOrder is the shop's work for calls, commands and operations alike.
func carryOutOrder(ctx context.Context, c *parley.Client, p piece) (piece, error) {
	for _, ask := range []*parley.Call[piece, piece]{shopReserve, shopCharge, shopTell} {
		if _, err := ask.Call(ctx, c, p); err != nil {
			return piece{}, err
		}
	}
	return p, nil
}

// carryOutLoan is the bank's work for calls, commands and operations alike.
func carryOutLoan(ctx context.Context, c *parley.Client, p piece) (piece, error) {
	var asked []*parley.Future[piece]
	for _, check := range checks {
		asked = append(asked, parley.Go(ctx, check, func(ctx context.Context) (piece, error) {
			return bankCheck.Call(ctx, c, piece{ID: p.ID, Check: check})
		}))
	}
	for _, a := range asked {
		if _, err := a.Get(ctx); err != nil {
			return piece{}, err
		}
	}
	return bankPayOut.Call(ctx, c, p)
}
