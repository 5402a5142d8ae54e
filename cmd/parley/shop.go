package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/examples/shop/shop"
	"github.com/parley-io/parley/network"
)

// newShopCommand runs one service of the example shop, as parley demo starts them.
func newShopCommand(a *app) *cobra.Command {
	var o shop.Options
	c := &cobra.Command{
		Use:       "shop SERVICE",
		Short:     "Run a service of the example shop",
		Example:   "  parley shop storefront --orders 4",
		Hidden:    true,
		Args:      cobra.ExactArgs(1),
		ValidArgs: shop.Services(),
		RunE: func(c *cobra.Command, args []string) (err error) {
			where, err := a.where() // it never becomes the owner of a broker because parley dev happens to be down
			if err != nil {
				return err
			}
			net, err := network.Open(c.Context(), where, network.WithSource(args[0]), network.WithNotice(func(line string) { a.note("%s", line) }))
			if err != nil {
				return err
			}
			defer func() {
				closing, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), 5*closeLimit)
				defer cancel()
				err = errors.Join(err, net.Close(closing))
			}()
			return shop.Run(c.Context(), net, args, o)
		},
	}
	c.Flags().StringVar(&o.Journal, "journal", "", "`directory` of an outside log of what was confirmed and handled")
	c.Flags().Float64Var(&o.Orders.PerSecond, "orders", 0, "orders per second that customers of the storefront place")
	c.Flags().Uint64Var(&o.Orders.Seed, "seed", 1, "seed of what is ordered")
	c.Flags().DurationVar(&o.Orders.For, "for", 0, "how `long` customers order (default: until the end)")
	c.Flags().BoolVar(&o.Quick, "quick", false, "retries and breakers of seconds instead of minutes")
	return c
}
