// Package storefront is the contract of the shop's storefront.
package storefront

import (
	"time"

	"github.com/parley-io/parley"
)

// API is version 1 of the storefront.
var API = parley.NewAPI("storefront", 1)

// PlaceOrder orders one item: POST /orders.
var PlaceOrder = parley.NewCall[Order, Confirmation](API, "place-order", parley.REST("POST", "/orders"))

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
}

// Confirmation is the promise to the customer.
type Confirmation struct {
	OrderID string `json:"order_id"`
	Cents   int64  `json:"cents"`
}

// Placed is what everybody else learns of an order.
type Placed struct {
	OrderID  string `json:"order_id"`
	Email    string `json:"email"`
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int64  `json:"cents"`
}
