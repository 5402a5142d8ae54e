package bank

import (
	"context"
	"math/rand/v2"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/outside"
)

// Case is an application, and what must become of it.
type Case struct {
	loans.Application
	Outcome string   // as in the outside log
	Undos   []string // that must run
}

const (
	small = 8_000_00  // cents
	large = 25_000_00 // somebody has to sign
	days  = 600       // seconds; what these are in a story of minutes, in which a broker may be away for three
	soon  = 3
)

// Cases are the applications that applicants make.
func Cases() []Case {
	rejected, notSigned, notBooked := loans.ErrRejected.Name, loans.ErrNotSigned.Name, loans.ErrNotBooked.Name
	undone := []string{"undo:reverse-payout"}
	return []Case{
		{loans.Application{Applicant: "ada", Cents: small, Branch: "north", HoldSeconds: days}, outside.OK, nil},
		{loans.Application{Applicant: "grace", Cents: small, Branch: "west", HoldSeconds: soon}, outside.OK, nil},
		{loans.Application{Applicant: "ada", Cents: large, Branch: "north", HoldSeconds: days}, outside.OK, nil},
		{loans.Application{Applicant: "grace", Cents: large, Branch: "south", HoldSeconds: days}, outside.OK, nil},
		{loans.Application{Applicant: "ada", Cents: large, Branch: "east", HoldSeconds: soon}, notSigned, nil},
		{loans.Application{Applicant: "grace", Cents: large, Branch: "west", HoldSeconds: soon}, notSigned, nil},
		{loans.Application{Applicant: "barbara", Cents: small, Branch: "north", HoldSeconds: days}, rejected, nil},
		{loans.Application{Applicant: "mallory", Cents: large, Branch: "north", HoldSeconds: days}, rejected, nil},
		{loans.Application{Applicant: "tony", Cents: small, Branch: "south", HoldSeconds: days}, rejected, nil},
		{loans.Application{Applicant: "edsger", Cents: small, Branch: "north", HoldSeconds: days}, notBooked, undone},
		{loans.Application{Applicant: "edsger", Cents: large, Branch: "south", HoldSeconds: days}, notBooked, undone},
	}
}

// applicant asks for a loan, gets an id, and leaves: the answer comes by letter.
func applicant(client *parley.Client, log *outside.Log) func(context.Context, string, *rand.Rand) {
	return func(ctx context.Context, number string, random *rand.Rand) {
		cases := Cases()
		_ = apply(ctx, client, log, parley.MessageID("loan-"+number), cases[random.IntN(len(cases))]) // who is turned away tries another bank
	}
}

// apply makes one application.
func apply(ctx context.Context, client *parley.Client, log *outside.Log, id parley.MessageID, c Case) error {
	log.Expected(loans.Decide.Address(), id, c.Outcome, c.Undos...)
	x, err := loans.Decide.Start(ctx, client, c.Application, parley.WithID(id))
	return log.Started(loans.Decide.Address(), x.ID, err)
}
