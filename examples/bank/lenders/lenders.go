// Package lenders is the contract of the lenders whose money the bank lends.
package lenders

import "github.com/parley-io/parley"

// API is version 1 of the lenders.
var API = parley.NewAPI("lenders", 1)

// Offer asks one lender what a loan would cost.
var Offer = parley.NewCall[Request, Terms](API, "offer", parley.Idempotent())

// All are the lenders that can be asked.
func All() []string { return []string{"alpine", "baltic", "coral", "dune", "ember"} }

// Request is which lender is asked about how much.
type Request struct {
	Lender string `json:"lender" minLength:"1"`
	Cents  int64  `json:"cents" minimum:"1"`
}

// Terms are what a lender asks for.
type Terms struct {
	Lender   string `json:"lender"`
	PerMille int    `json:"per_mille"` // of the loan, a year
}
