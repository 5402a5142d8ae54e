package bank

import (
	"context"
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

// people are who is known in town, with what each service knows of them. Of anybody else nobody has heard.
var people = map[string]struct {
	score   int   // at the bureau
	income  int64 // a month, in cents
	suspect bool  // of fraud
	frozen  bool  // the account at the partner bank
}{
	"ada":     {score: 790, income: 9_000_00},
	"grace":   {score: 730, income: 7_500_00},
	"barbara": {score: 410, income: 6_000_00},
	"mallory": {score: 800, income: 9_900_00, suspect: true},
	"tony":    {score: 690, income: 90_00},
	"edsger":  {score: 760, income: 8_000_00, frozen: true},
}

// bureauService knows how well people pay.
func bureauService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{bureau.Score.Handle(func(_ context.Context, p bureau.Person) (bureau.Report, error) {
		return bureau.Report{Score: people[p.Name].score}, nil
	})}
}

// screeningService knows who deceives.
func screeningService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{screening.Screen.Handle(func(_ context.Context, p screening.Person) (screening.Verdict, error) {
		return screening.Verdict{Suspect: people[p.Name].suspect}, nil
	})}
}

// payrollService knows what people earn.
func payrollService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{payroll.Income.Handle(func(_ context.Context, p payroll.Person) (payroll.Earnings, error) {
		return payroll.Earnings{Cents: people[p.Name].income}, nil
	})}
}

// market is how the lenders are: ember is closed for one second out of two, and dune is never in time.
var market = map[string]struct {
	perMille int
	takes    time.Duration
}{
	"alpine": {perMille: 41, takes: 40 * time.Millisecond},
	"baltic": {perMille: 37, takes: 80 * time.Millisecond},
	"coral":  {perMille: 44, takes: 120 * time.Millisecond},
	"dune":   {perMille: 31, takes: 10 * time.Second},
	"ember":  {perMille: 35, takes: 20 * time.Millisecond},
}

// lendersService plays all lenders.
func lendersService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{lenders.Offer.Handle(func(ctx context.Context, r lenders.Request) (lenders.Terms, error) {
		lender, ok := market[r.Lender]
		switch {
		case !ok:
			return lenders.Terms{}, parley.Errorf(parley.NotFound, "there is no lender %s", r.Lender)
		case r.Lender == "ember" && time.Now().Second()%2 == 0:
			return lenders.Terms{}, parley.Errorf(parley.Unavailable, "ember is closed for a second")
		}
		return lenders.Terms{Lender: r.Lender, PerMille: lender.perMille}, parley.Sleep(ctx, lender.takes)
	})}
}

// treasuryService pays. The ids of loans make its references, so there is nothing to remember.
func treasuryService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{
		treasury.Pay.Handle(func(_ context.Context, p treasury.Payout) (treasury.Receipt, error) {
			return treasury.Receipt{Reference: "paid-" + string(p.LoanID)}, nil
		}),
		treasury.Reverse.Handle(func(_ context.Context, r treasury.Reversal) (treasury.Receipt, error) {
			return treasury.Receipt{Reference: "reversed-" + string(r.LoanID)}, nil
		}),
	}
}

// partnerService books, but not on a frozen account.
func partnerService(*parley.Client, *outside.Log) []parley.Registration {
	return []parley.Registration{partner.Book.Handle(func(_ context.Context, e partner.Entry) (partner.Booking, error) {
		if people[e.Account].frozen {
			return partner.Booking{}, partner.ErrFrozen
		}
		return partner.Booking{Number: "booked-" + string(e.LoanID)}, nil
	})}
}

// clerksService signs: at once in the north, after a while in the south, when it is too late in the east, and in the west
// never.
func (o Options) clerksService(client *parley.Client, log *outside.Log) []parley.Registration {
	sign := func(ctx context.Context, p clerks.Paper) error {
		switch p.Branch {
		case "south":
			if err := parley.Sleep(ctx, 2*time.Second); err != nil {
				return err
			}
		case "east":
			if _, err := loans.Decide.Execution(p.LoanID).Wait(ctx, client); ctx.Err() != nil {
				return err
			}
		case "west":
			log.HandledCommand(ctx)
			return nil
		}
		m, _ := parley.MessageFrom(ctx)
		_, err := loans.Signed.Raise(ctx, client, p.LoanID, loans.Signature{Clerk: p.Branch}, parley.WithID(m.ID+"-signed"))
		if err != nil && parley.CodeOf(err) != parley.FailedPrecondition { // which says that the decision was made without them
			return err
		}
		log.HandledCommand(ctx)
		return nil
	}
	return []parley.Registration{clerks.AskToSign.Handle(sign, o.Handling()...)}
}

// lettersService posts letters.
func (o Options) lettersService(_ *parley.Client, log *outside.Log) []parley.Registration {
	post := func(ctx context.Context, _ letters.Letter) error {
		log.HandledCommand(ctx)
		return nil
	}
	return []parley.Registration{letters.SendLetter.Handle(post, o.Handling()...)}
}

// archiveService keeps every decision.
func (o Options) archiveService(_ *parley.Client, log *outside.Log) []parley.Registration {
	return []parley.Registration{loans.Decided.Subscribe("archive", noting(log, "archive"), o.Subscribing()...)}
}

// riskService adds up what the bank may lose.
func (o Options) riskService(_ *parley.Client, log *outside.Log) []parley.Registration {
	return []parley.Registration{loans.Decided.Subscribe("risk", noting(log, "risk"), o.Subscribing()...)}
}

// noting is the work of a subscriber: to note that it was done.
func noting(log *outside.Log, group string) func(context.Context, loans.Decision) error {
	return func(ctx context.Context, _ loans.Decision) error {
		log.HandledEvent(ctx, group)
		return nil
	}
}
