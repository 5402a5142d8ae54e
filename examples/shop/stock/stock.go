// Package stock is the contract of the stock service.
package stock

import "github.com/parley-io/parley"

// API is version 1 of the stock service.
var API = parley.NewAPI("stock", 1)

// Reserve sets items aside for an order and says what they cost, which it asks the price service. Doing it twice for one
// order is doing it once.
var Reserve = parley.NewCall[Request, Reservation](API, "reserve", parley.Idempotent())

// Release puts back what was set aside for an order; where nothing was, it does nothing.
var Release = parley.NewCall[Return, Released](API, "release", parley.Idempotent())

// ErrOutOfStock is an error that Reserve declares, with a [Shortage].
var ErrOutOfStock = API.NewError("out-of-stock", parley.FailedPrecondition)

// Request asks for items.
type Request struct {
	OrderID  string `json:"order_id" minLength:"1"`
	SKU      string `json:"sku" minLength:"1" maxLength:"40"`
	Quantity int    `json:"quantity" minimum:"1" maximum:"100"`
}

// Reservation is what was set aside.
type Reservation struct {
	OrderID string `json:"order_id"`
	Cents   int64  `json:"cents"`
}

// Shortage says how much there is.
type Shortage struct {
	Left int `json:"left"`
}

// Return is whose items are put back.
type Return struct {
	OrderID string `json:"order_id" minLength:"1"`
}

// Released says that nothing is set aside for an order.
type Released struct {
	OrderID string `json:"order_id"`
}
