// Package loans is the contract of the loans service, which turns applications into loans.
package loans

import (
	"time"

	"github.com/parley-io/parley"
)

// API is version 1 of the loans service.
var API = parley.NewAPI("loans", 1)

// Decide decides on an application and, if all goes well, pays the loan out and books it. That takes from a second to
// days, so it is an operation: whoever applies gets an id at once.
var Decide = parley.NewOperation[Application, Loan](API, "decide",
	parley.Timeout(30*24*time.Hour),
	parley.Phases("credit", "fraud", "income", "offers", "signed", "payout", "booking", "letters.v1.send-letter", "loans.v1.decided"))

// Signed is what a clerk tells the decision on a loan of more than [SignAbove].
var Signed = parley.NewSignal[Signature](Decide, "signed")

// Decided is published once for each application, whatever became of it.
var Decided = parley.NewEvent[Decision](API, "decided", parley.Stream(30*24*time.Hour, 64<<20))

// The errors that Decide declares.
var (
	ErrRejected  = API.NewError("rejected", parley.FailedPrecondition)   // with a [Rejection]
	ErrNotSigned = API.NewError("not-signed", parley.FailedPrecondition) // no clerk signed while the applicant waited
	ErrNotBooked = API.NewError("not-booked", parley.FailedPrecondition) // the partner bank refused; the payout was taken back
)

// SignAbove is up to which amount nobody has to sign, in cents.
const SignAbove = 10_000_00

// Application is what an applicant wants.
type Application struct {
	Applicant string `json:"applicant" minLength:"1" maxLength:"40"`
	Cents     int64  `json:"cents" minimum:"1" maximum:"100000000"`
	// Branch is where the clerk sits who has to sign a loan of more than [SignAbove], and HoldSeconds how long the
	// applicant waits for that.
	Branch      string `json:"branch" enum:"north,south,east,west"`
	HoldSeconds int    `json:"hold_seconds" minimum:"1" maximum:"604800"`
}

// Loan is what the applicant gets.
type Loan struct {
	Lender   string `json:"lender"`
	PerMille int    `json:"per_mille"` // of the loan, a year
	Paid     string `json:"paid"`      // the treasury's reference
	Booked   string `json:"booked"`    // the partner bank's number
}

// Rejection is why the applicant gets nothing.
type Rejection struct {
	Reason string `json:"reason"`
	Score  int    `json:"score"`
}

// Signature is a clerk's word.
type Signature struct {
	Clerk string `json:"clerk" minLength:"1"`
}

// Decision is what everybody else learns.
type Decision struct {
	LoanID    parley.MessageID `json:"loan_id"`
	Applicant string           `json:"applicant"`
	Cents     int64            `json:"cents"`
	Granted   bool             `json:"granted"`
}
