// Package payroll is the contract of those who know what people earn.
package payroll

import "github.com/parley-io/parley"

// API is version 1 of the payroll service.
var API = parley.NewAPI("payroll", 1)

// Income says what somebody earns.
var Income = parley.NewCall[Person, Earnings](API, "income", parley.Idempotent())

// Person is whose income is asked for.
type Person struct {
	Name string `json:"name" minLength:"1"`
}

// Earnings are those of a month.
type Earnings struct {
	Cents int64 `json:"cents"`
}
