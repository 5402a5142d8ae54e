package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/node"
	"github.com/parley-io/parley/parleyotel"
)

func newServeCommand(a *app) *cobra.Command {
	var o node.Options
	c := &cobra.Command{
		Use:   "serve",
		Short: "Collect what becomes of messages on a network, until interrupted",
		Long: `serve runs the collector of a network whose broker is elsewhere, which --network or PARLEY_NETWORK names. It
answers "parley follow" and the other commands, and over HTTP: trails, dead letters and redrives, operations (also while
their owner is away), /metrics, /livez and /readyz. /readyz is 200 once it has read what the ledger holds. Several may
run on one network, and it may be stopped and started at any time: what it knows is in the broker. "parley help networks"
has the URLs.

It asks nobody who they are. Where --http is no loopback address, see that only those reach it who may. On another machine
than the services it needs such an address, and --advertise unless its host is the one under which they reach it; the
environment variables PARLEY_LISTEN and PARLEY_ADVERTISE say the same.

With -o json or jsonl it prints one JSON object on standard output once everything is served. It ends with exit code 1
when it can collect no more.`,
		Example: "  parley serve --network 'amqp://ann:secret@broker/shop?survives=process'\n" +
			"  PARLEY_NETWORK=nats://token@broker?survives=power parley serve --http 10.0.0.7:7070 -o json",
		Args: words(0, 0),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Network, err = a.named(); err != nil {
				return err
			}
			if o.Network == "" {
				return &failure{exit: exitUsage, try: "parley help networks",
					err: errors.New("no network: want --network or PARLEY_NETWORK; a broker of its own has parley dev")}
			}
			sdk, err := parleyotel.Start(c.Context(), "parley-serve")
			if err != nil {
				return usage(fmt.Errorf("the variables OTEL_…: %w", err))
			}
			defer a.flush(c.Context(), sdk)
			o.Telemetry, o.Metrics = sdk.Providers(), sdk.Handler()
			var printed error
			err = node.Serve(c.Context(), o, func(i node.Info) { printed = a.greetServed(i) })
			if err != nil {
				return err
			}
			a.note("stopped")
			return printed
		},
	}
	c.Flags().StringVar(&o.HTTP, "http", "", "`host:port` that answers over HTTP (default: $PARLEY_LISTEN, else "+node.DefaultHTTP+", or the next free port)")
	c.Flags().StringVar(&o.Advertise, "advertise", "", "`URL` under which others reach it (default: $PARLEY_ADVERTISE, else http:// and that address)")
	return c
}

// greetServed says that a collector is there.
func (a *app) greetServed(i node.Info) error {
	if !a.table() {
		return showOne(a, i, nil)
	}
	if i.Notice != "" {
		a.note("note: %s", i.Notice)
	}
	a.note("parley serve · collecting %s, answering at %s\nCtrl-C stops it.", i.URL, i.HTTP)
	return nil
}
