// Package treasury is the contract of the bank's treasury.
package treasury

import "github.com/parley-io/parley"

// API is version 1 of the treasury.
var API = parley.NewAPI("treasury", 1)

// Pay pays a loan out. The loan's id makes a repetition harmless.
var Pay = parley.NewCall[Payout, Receipt](API, "pay", parley.Idempotent())

// Reverse takes the payout of a loan back; where nothing was paid out, it does nothing.
var Reverse = parley.NewCall[Reversal, Receipt](API, "reverse", parley.Idempotent())

// Payout is how much for which loan, and to whom.
type Payout struct {
	LoanID parley.MessageID `json:"loan_id" minLength:"1"`
	To     string           `json:"to" minLength:"1"`
	Cents  int64            `json:"cents" minimum:"1"`
}

// Reversal is which payout to take back.
type Reversal struct {
	LoanID parley.MessageID `json:"loan_id" minLength:"1"`
}

// Receipt is the treasury's word for it.
type Receipt struct {
	Reference string `json:"reference"`
}
