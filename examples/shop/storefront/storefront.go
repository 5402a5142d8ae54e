// Package storefront is the contract of the shop's storefront.
package storefront

import (
	"time"

	"github.com/parley-io/parley"
)

// API is version 1 of the storefront.
var API = parley.NewAPI("storefront", 1)

// PlaceOrder orders one item. It is an operation: the customer gets an id at once and may leave; the order goes on over
// crashes of everybody.
var PlaceOrder = parley.NewOperation[Order, Confirmation](API, "place-order",
	parley.Phases("reserve", "charge", "receipt", "placed", "sold"))

// OrderNow is the same as a call, for those who stand at the counter: POST /orders. It takes no longer than they wait, and
// if the storefront dies meanwhile, nobody goes on.
var OrderNow = parley.NewCall[Order, Confirmation](API, "order-now", parley.REST("POST", "/orders"))

// The errors that PlaceOrder and OrderNow declare.
var (
	ErrSoldOut    = API.NewError("sold-out", parley.FailedPrecondition)    // with a [Shortage]
	ErrOverBudget = API.NewError("over-budget", parley.FailedPrecondition) // with a [Total]
)

// OrderPlaced is published once for each accepted order; those of one customer arrive in order.
var OrderPlaced = parley.NewEvent[Placed](API, "order-placed").
	KeyedBy(func(p Placed) string { return p.Email })

// Sold is the history of the shop: who joins late replays it.
var Sold = parley.NewEvent[Placed](API, "sold", parley.Stream(30*24*time.Hour, 256<<20))

// Order is what a customer wants.
type Order struct {
	OrderID  string `json:"order_id" minLength:"1" maxLength:"40" pattern:"^[a-z0-9-]+$"`
	Email    string `json:"email" format:"email"`
	SKU      string `json:"sku" minLength:"1" maxLength:"40"`
	Quantity int    `json:"quantity" minimum:"1" maximum:"100"`
	MaxCents int64  `json:"max_cents,omitzero" minimum:"0"` // what the customer has; 0 = enough
}

// Confirmation is the promise to the customer.
type Confirmation struct {
	OrderID string `json:"order_id"`
	Cents   int64  `json:"cents"`
}

// Shortage says how much there is.
type Shortage struct {
	Left int `json:"left"`
}

// Total is what an order would have cost.
type Total struct {
	Cents int64 `json:"cents"`
}

// Placed is what everybody else learns of an order.
type Placed struct {
	OrderID  string `json:"order_id"`
	Email    string `json:"email"`
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int64  `json:"cents"`
}
