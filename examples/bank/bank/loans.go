package bank

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/bank/bureau"
	"github.com/parley-io/parley/examples/bank/clerks"
	"github.com/parley-io/parley/examples/bank/lenders"
	"github.com/parley-io/parley/examples/bank/letters"
	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/bank/partner"
	"github.com/parley-io/parley/examples/bank/payroll"
	"github.com/parley-io/parley/examples/bank/screening"
	"github.com/parley-io/parley/examples/bank/treasury"
	"github.com/parley-io/parley/examples/outside"
)

// desk is the loans service.
type desk struct {
	client *parley.Client
	log    *outside.Log
}

// loansService owns the decisions.
func loansService(client *parley.Client, log *outside.Log) []parley.Registration {
	d := &desk{client, log}
	return []parley.Registration{loans.Decide.Handle(1, outside.Ending(log, d.decide))}
}

// decide is the operation. It grants the loan or does not, and either way tells the applicant by a command and everybody
// else by an event: two verbs, called with the context of an operation, and so two steps of it.
func (d *desk) decide(ctx context.Context, a loans.Application) (loans.Loan, error) {
	m, _ := parley.MessageFrom(ctx) // the operation itself: its id is the loan's
	loan, refused := d.grant(ctx, m.ID, a)

	text := "It is our pleasure to lend you the money."
	if refused != nil {
		text = "To our regret we cannot lend you the money."
	}
	id, err := letters.SendLetter.Send(ctx, d.client, letters.Letter{LoanID: m.ID, To: a.Applicant, Text: text})
	if err = d.log.Confirmed(parley.StyleCommand, letters.SendLetter.Address(), id, err); err != nil {
		return loan, errors.Join(refused, err)
	}
	id, err = loans.Decided.Publish(ctx, d.client, loans.Decision{LoanID: m.ID, Applicant: a.Applicant, Cents: a.Cents, Granted: refused == nil})
	if err = d.log.Confirmed(parley.StyleEvent, loans.Decided.Address(), id, err); err != nil {
		return loan, errors.Join(refused, err)
	}
	return loan, refused
}

// grant is the way to a loan; an error is why there is none.
func (d *desk) grant(ctx context.Context, id parley.MessageID, a loans.Application) (loans.Loan, error) {
	if err := d.check(ctx, a); err != nil {
		return loans.Loan{}, err
	}
	if a.Cents > loans.SignAbove { // the clerk may sign while the lenders are asked: a signal may come early
		sent, err := clerks.AskToSign.Send(ctx, d.client, clerks.Paper{LoanID: id, Branch: a.Branch, Applicant: a.Applicant, Cents: a.Cents})
		if err = d.log.Confirmed(parley.StyleCommand, clerks.AskToSign.Address(), sent, err); err != nil {
			return loans.Loan{}, err
		}
	}
	terms, err := d.offers(ctx, a)
	if err != nil {
		return loans.Loan{}, err
	}
	if a.Cents > loans.SignAbove {
		_, err := loans.Signed.Await(ctx, parley.Within(time.Duration(a.HoldSeconds)*time.Second))
		switch {
		case parley.CodeOf(err) == parley.DeadlineExceeded:
			return loans.Loan{}, loans.ErrNotSigned
		case err != nil:
			return loans.Loan{}, err
		}
	}
	paid, booked, err := d.pay(ctx, id, a)
	if err != nil {
		return loans.Loan{}, err
	}
	return loans.Loan{Lender: terms.Lender, PerMille: terms.PerMille, Paid: paid.Reference, Booked: booked.Number}, nil
}

// check asks three services about the applicant at once, and rejects or does not.
func (d *desk) check(ctx context.Context, a loans.Application) error {
	credit := parley.Go(ctx, "credit", func(ctx context.Context) (bureau.Report, error) {
		defer d.log.Step(ctx)()
		return bureau.Score.Call(ctx, d.client, bureau.Person{Name: a.Applicant})
	})
	fraud := parley.Go(ctx, "fraud", func(ctx context.Context) (screening.Verdict, error) {
		defer d.log.Step(ctx)()
		return screening.Screen.Call(ctx, d.client, screening.Person{Name: a.Applicant})
	})
	income := parley.Go(ctx, "income", func(ctx context.Context) (payroll.Earnings, error) {
		defer d.log.Step(ctx)()
		return payroll.Income.Call(ctx, d.client, payroll.Person{Name: a.Applicant})
	})
	report, noReport := credit.Get(ctx)
	verdict, noVerdict := fraud.Get(ctx)
	earnings, noEarnings := income.Get(ctx)
	if err := errors.Join(noReport, noVerdict, noEarnings); err != nil {
		return err
	}
	return assess(a, report, verdict, earnings)
}

// assess is the decision, by the rules of the bank. It follows from what it is given, so it needs no step.
func assess(a loans.Application, report bureau.Report, verdict screening.Verdict, earnings payroll.Earnings) error {
	rejected := func(reason string) error {
		return parley.WithDetails(loans.ErrRejected, loans.Rejection{Reason: reason, Score: report.Score})
	}
	switch {
	case verdict.Suspect:
		return rejected("suspected of fraud")
	case report.Score < 500:
		return rejected("the score is too low")
	case a.Cents > 12*earnings.Cents:
		return rejected("more than the income of a year")
	}
	return nil
}

// offers asks all lenders at once and takes the best of the first three offers. When there are fewer within two seconds,
// it asks again later; to sleep costs an operation nothing.
func (d *desk) offers(ctx context.Context, a loans.Application) (lenders.Terms, error) {
	ask := func(ctx context.Context, lender string) (lenders.Terms, error) {
		defer d.log.Step(ctx)()
		return lenders.Offer.Call(ctx, d.client, lenders.Request{Lender: lender, Cents: a.Cents})
	}
	for n := 1; ; n++ {
		name := "offers"
		if n > 1 {
			name = fmt.Sprintf("offers.%d", n)
		}
		gathered, err := parley.Gather(ctx, name, lenders.All(), ask, parley.Enough(3), parley.Within(2*time.Second))
		if err == nil {
			return slices.MinFunc(gathered.Values(), func(x, y lenders.Terms) int { return cmp.Compare(x.PerMille, y.PerMille) }), nil
		}
		if !errors.Is(err, parley.ErrTooFew) {
			return lenders.Terms{}, err
		}
		if err := parley.Sleep(ctx, 5*time.Second); err != nil {
			return lenders.Terms{}, err
		}
	}
}

// pay pays out, and books with the partner bank. When that refuses, the loan fails, and the payout is taken back: that is
// declared before it is made, because afterwards may be too late.
func (d *desk) pay(ctx context.Context, id parley.MessageID, a loans.Application) (treasury.Receipt, partner.Booking, error) {
	parley.Undo(ctx, "reverse-payout", func(ctx context.Context) error {
		defer d.log.Step(ctx)()
		_, err := treasury.Reverse.Call(ctx, d.client, treasury.Reversal{LoanID: id})
		return err
	})
	paid, err := parley.Step(ctx, "payout", func(ctx context.Context) (treasury.Receipt, error) {
		defer d.log.Step(ctx)()
		return treasury.Pay.Call(ctx, d.client, treasury.Payout{LoanID: id, To: a.Applicant, Cents: a.Cents})
	})
	if err != nil {
		return paid, partner.Booking{}, err
	}
	booked, err := parley.Step(ctx, "booking", func(ctx context.Context) (partner.Booking, error) {
		defer d.log.Step(ctx)()
		return partner.Book.Call(ctx, d.client, partner.Entry{LoanID: id, Account: a.Applicant, Cents: a.Cents})
	})
	if errors.Is(err, partner.ErrFrozen) {
		err = loans.ErrNotBooked
	}
	return paid, booked, err
}
