// Package clerks is the contract of the people in the bank's branches.
package clerks

import "github.com/parley-io/parley"

// API is version 1 of the clerks.
var API = parley.NewAPI("clerks", 1)

// AskToSign puts a loan on the desk of a branch. Whoever signs there tells the loan itself, see loans.Signed.
var AskToSign = parley.NewCommand[Paper](API, "ask-to-sign")

// Paper is what lies on the desk.
type Paper struct {
	LoanID    parley.MessageID `json:"loan_id" minLength:"1"`
	Branch    string           `json:"branch" minLength:"1"`
	Applicant string           `json:"applicant" minLength:"1"`
	Cents     int64            `json:"cents" minimum:"1"`
}
