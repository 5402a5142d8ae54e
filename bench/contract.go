package main

import (
	"fmt"

	"github.com/parley-io/parley"
)

var api = parley.NewAPI("bench", 1)

// quote is what is called. The raw side exchanges the same types with the same codec.
var quote = parley.NewCall[quoteRequest, quoteAnswer](api, "quote")

// charge is what is sent.
var charge = parley.NewCommand[chargeOrder](api, "charge")

// three is what is started and waited for.
var three = parley.NewOperation[chargeOrder, chargeOrder](api, "three")

// quoteRequest is about 150 bytes of JSON.
type quoteRequest struct {
	OrderID  string `json:"order_id" minLength:"1" maxLength:"40"`
	Customer string `json:"customer" minLength:"1" maxLength:"80"`
	SKU      string `json:"sku" minLength:"1" maxLength:"40"`
	Quantity int    `json:"quantity" minimum:"1" maximum:"100"`
	Currency string `json:"currency" enum:"EUR,USD,GBP"`
	Note     string `json:"note,omitzero" maxLength:"200"`
}

// quoteAnswer is about 250 bytes of JSON.
type quoteAnswer struct {
	OrderID  string      `json:"order_id"`
	Currency string      `json:"currency"`
	Lines    []quoteLine `json:"lines"`
	Cents    int64       `json:"cents" minimum:"0"`
	Reserved bool        `json:"reserved"`
	Terms    string      `json:"terms"`
}

type quoteLine struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int64  `json:"cents"`
}

// chargeOrder is about 200 bytes of JSON.
type chargeOrder struct {
	Number  int64  `json:"number" minimum:"0"`
	Sent    int64  `json:"sent"` // nanoseconds since the sender began
	OrderID string `json:"order_id" minLength:"1" maxLength:"40"`
	Email   string `json:"email" maxLength:"80"`
	Cents   int64  `json:"cents" minimum:"1"`
	Memo    string `json:"memo" maxLength:"200"`
}

func newQuoteRequest() quoteRequest {
	return quoteRequest{
		OrderID: "order-101112-1001", Customer: "ada.lovelace@example.com", SKU: "kettle-steel-1l",
		Quantity: 3, Currency: "EUR", Note: "leave it at the door",
	}
}

// answerQuote is the work of both servers.
func answerQuote(in quoteRequest) quoteAnswer {
	price := int64(len(in.SKU)) * 100
	return quoteAnswer{
		OrderID: in.OrderID, Currency: in.Currency, Reserved: true,
		Lines: []quoteLine{
			{SKU: in.SKU, Quantity: in.Quantity, Cents: price * int64(in.Quantity)},
			{SKU: "shipping", Quantity: 1, Cents: 490},
		},
		Cents: price*int64(in.Quantity) + 490,
		Terms: "Valid for fifteen minutes; delivery within two working days.",
	}
}

// checkQuote fails on an answer that is not the one to newQuoteRequest.
func checkQuote(out quoteAnswer) error {
	if out.Cents != 4990 || len(out.Lines) != 2 {
		return fmt.Errorf("quote: got %d cents in %d lines, want 4990 in 2", out.Cents, len(out.Lines))
	}
	return nil
}

func newChargeOrder(number, sent int64) chargeOrder {
	return chargeOrder{
		Number: number, Sent: sent, OrderID: "order-101112-1001", Email: "ada.lovelace@example.com", Cents: 4990,
		Memo: "Three steel kettles of one litre, and what it takes to bring them.",
	}
}
