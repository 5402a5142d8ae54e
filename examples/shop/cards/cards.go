// Package cards is the contract of the card processor.
package cards

import "github.com/parley-io/parley"

// API is version 1 of the card processor.
var API = parley.NewAPI("cards", 1)

// Authorize takes money from a card. The order's id makes a repetition harmless.
var Authorize = parley.NewCall[Payment, Authorization](API, "authorize", parley.Idempotent())

// Payment is how much for which order.
type Payment struct {
	OrderID string `json:"order_id" minLength:"1"`
	Cents   int64  `json:"cents" minimum:"1"`
}

// Authorization is the processor's receipt.
type Authorization struct {
	Reference string `json:"reference"`
}
