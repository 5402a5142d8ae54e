// Package partner is the contract of the partner bank, in whose ledger loans are booked.
package partner

import "github.com/parley-io/parley"

// API is version 1 of the partner bank.
var API = parley.NewAPI("partner", 1)

// Book books a loan on the account of whoever took it. The loan's id makes a repetition harmless.
var Book = parley.NewCall[Entry, Booking](API, "book", parley.Idempotent())

// ErrFrozen is an error that Book declares: the account takes no bookings.
var ErrFrozen = API.NewError("frozen", parley.FailedPrecondition)

// Entry is what is to be booked.
type Entry struct {
	LoanID  parley.MessageID `json:"loan_id" minLength:"1"`
	Account string           `json:"account" minLength:"1"`
	Cents   int64            `json:"cents" minimum:"1"`
}

// Booking is where it was booked.
type Booking struct {
	Number string `json:"number"`
}
