package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/examples/bank/bank"
	"github.com/parley-io/parley/examples/company"
	"github.com/parley-io/parley/examples/shop/shop"
	"github.com/parley-io/parley/network"
)

// newShopCommand runs one service of the example shop, as parley demo starts them.
func newShopCommand(a *app) *cobra.Command {
	var o shop.Options
	c := a.example("shop", "storefront --orders 4", shop.Services(), func(ctx context.Context, net *parley.Network, names []string) error {
		return shop.Run(ctx, net, names, o)
	})
	c.Flags().StringVar(&o.Journal, "journal", "", "`directory` of an outside log of what was confirmed and handled")
	c.Flags().BoolVar(&o.Quick, "quick", false, "retries and breakers of seconds instead of minutes")
	workload(c, &o.Orders, "orders", "orders per second that customers of the storefront place")
	return c
}

// newBankCommand runs one service of the example bank.
func newBankCommand(a *app) *cobra.Command {
	var o bank.Options
	c := a.example("bank", "applicants --applications 4", bank.Services(), func(ctx context.Context, net *parley.Network, names []string) error {
		return bank.Run(ctx, net, names, o)
	})
	c.Flags().StringVar(&o.Journal, "journal", "", "`directory` of an outside log of what was confirmed, handled and done")
	c.Flags().BoolVar(&o.Quick, "quick", false, "retries and breakers of seconds instead of minutes")
	workload(c, &o.Applications, "applications", "applications per second that applicants make")
	return c
}

// workload adds the flags of what people do.
func workload(c *cobra.Command, w *company.Workload, name, what string) {
	c.Flags().Float64Var(&w.PerSecond, name, 0, what)
	c.Flags().Uint64Var(&w.Seed, "seed", 1, "seed of what they want")
	c.Flags().DurationVar(&w.For, "for", 0, "how `long` they come (default: until the end)")
}

// example runs one service of an example.
func (a *app) example(name, args string, services []string, run func(context.Context, *parley.Network, []string) error) *cobra.Command {
	return &cobra.Command{
		Use:       name + " SERVICE",
		Short:     "Run a service of the example " + name,
		Example:   "  parley " + name + " " + args,
		Hidden:    true,
		Args:      words(1, 1),
		ValidArgs: services,
		RunE: func(c *cobra.Command, args []string) (err error) {
			where, err := a.where() // it never becomes the owner of a broker because parley dev happens to be down
			if err != nil {
				return err
			}
			options, flush, err := a.telemetry(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer flush()
			options = append(options, network.WithSource(args[0]), network.WithNotice(func(line string) { a.note("%s", line) }))
			net, err := network.Open(c.Context(), where, options...)
			if err != nil {
				return err
			}
			defer func() {
				closing, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), exampleClose)
				defer cancel()
				err = errors.Join(err, net.Close(closing))
			}()
			return run(c.Context(), net, args)
		},
	}
}

// exampleClose bounds the end of a service.
const exampleClose = 10 * time.Second
