package bank

import (
	"context"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/company"
	"github.com/parley-io/parley/examples/outside"
)

// Options are what a service of the bank is started with. The zero Options are fine.
type Options struct {
	Journal      string           // directory of the outside log; "" = none
	Applications company.Workload // what the applicants do
	company.Pace
	Strict bool // operations crash after each of their steps, see [parley.StrictOperations]
}

// Services are the names of all services.
func Services() []string { return newCompany(Options{}).Names() }

// Run runs some of the bank's services on a network until ctx is done; none named = all. Each is started when those
// before it are ready.
func Run(ctx context.Context, net *parley.Network, names []string, o Options) error {
	return newCompany(o).Run(ctx, net, names)
}

// Stages are the steps of a decision in the order in which they may begin; those of one stage run side by side.
func Stages() [][]string {
	return [][]string{{"credit", "fraud", "income"}, {"offers"}, {"payout"}, {"booking"}}
}

// Groups are those that handle an event of the bank.
func Groups(address string) []string {
	if address == loans.Decided.Address() {
		return []string{"archive", "risk"}
	}
	return nil
}

func newCompany(o Options) *company.Company {
	return &company.Company{
		Log:    o.Journal,
		Client: o.Clients(),
		Strict: o.Strict,
		Services: []company.Service{
			{Name: "bureau", Handles: bureauService},
			{Name: "screening", Handles: screeningService},
			{Name: "payroll", Handles: payrollService},
			{Name: "lenders", Handles: lendersService},
			{Name: "treasury", Handles: treasuryService},
			{Name: "partner", Handles: partnerService},
			{Name: "letters", Handles: o.lettersService},
			{Name: "clerks", Handles: o.clerksService},
			{Name: "archive", Handles: o.archiveService},
			{Name: "risk", Handles: o.riskService},
			{Name: "loans", Handles: loansService},
			{Name: "applicants", People: func(ctx context.Context, client *parley.Client, log *outside.Log) error {
				o.Applications.People(ctx, applicant(client, log))
				return nil
			}},
		},
	}
}
