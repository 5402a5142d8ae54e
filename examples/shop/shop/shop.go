package shop

import (
	"context"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/company"
	"github.com/parley-io/parley/examples/outside"
)

// Options are what a service of the shop is started with. The zero Options are fine.
type Options struct {
	Journal string           // directory of the outside log; "" = none
	Orders  company.Workload // what the customers of the storefront do
	company.Pace
	Strict bool // operations crash after each of their steps, see [parley.StrictOperations]
}

// Services are the names of all services.
func Services() []string { return newCompany(Options{}).Names() }

// Run runs some of the shop's services on a network until ctx is done; none named = all but the late joiner. Each is
// started when those before it are ready.
func Run(ctx context.Context, net *parley.Network, names []string, o Options) error {
	return newCompany(o).Run(ctx, net, names)
}

// Stages are the steps of an order in the order in which they may begin; those of one stage run side by side.
func Stages() [][]string {
	return [][]string{{"reserve"}, {"charge", "receipt", "placed", "sold"}}
}

func newCompany(o Options) *company.Company {
	return &company.Company{
		Log:    o.Journal,
		Client: o.Clients(),
		Strict: o.Strict,
		Services: []company.Service{
			{Name: "prices", Handles: pricesService},
			{Name: "stock", Handles: stockService},
			{Name: "cards", Handles: cardsService},
			{Name: "billing", Handles: o.billingService},
			{Name: "mail", Handles: o.mailService},
			{Name: "warehouse", Handles: o.warehouseService},
			{Name: "fraud", Handles: o.fraudService},
			{Name: "storefront", Handles: storefrontService, People: func(ctx context.Context, client *parley.Client, log *outside.Log) error {
				o.Orders.People(ctx, customer(client, log))
				return nil
			}},
			{Name: "analytics", Handles: o.analyticsService, Late: true},
		},
	}
}
