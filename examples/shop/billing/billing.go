// Package billing is the contract of the billing service.
package billing

import "github.com/parley-io/parley"

// API is version 1 of the billing service.
var API = parley.NewAPI("billing", 1)

// Charge takes the money for an order.
var Charge = parley.NewCommand[Order](API, "charge")

// Order is what is to be paid.
type Order struct {
	OrderID string `json:"order_id" minLength:"1"`
	Cents   int64  `json:"cents" minimum:"1"`
}
