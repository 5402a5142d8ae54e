// Package prices is the contract of the price service.
package prices

import "github.com/parley-io/parley"

// API is version 1 of the price service.
var API = parley.NewAPI("prices", 1)

// Quote prices one item: GET /prices/espresso?quantity=2.
var Quote = parley.NewCall[Item, Price](API, "quote", parley.Idempotent(), parley.REST("GET", "/prices/{sku}"))

// ErrUnknownItem is an error that Quote declares.
var ErrUnknownItem = API.NewError("unknown-item", parley.NotFound)

// Item is what is to be priced.
type Item struct {
	SKU      string `json:"sku" minLength:"1" maxLength:"40" jsonschema:"what the shop calls the item"`
	Quantity int    `json:"quantity" minimum:"1" maximum:"100"`
}

// Price is what all of it costs.
type Price struct {
	Cents int64 `json:"cents"`
}
