package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/node"
	"github.com/parley-io/parley/parleyotel"
)

func newDevCommand(a *app) *cobra.Command {
	var o node.Options
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a network for development, until interrupted",
		Long: `dev runs an embedded broker with a collector in this process. Services and commands of yours find it without
configuration. It listens on loopback addresses only. Its metrics are at /metrics; spans and metrics go where the
environment variables of OpenTelemetry say (OTEL_EXPORTER_OTLP_ENDPOINT), those of services to theirs.

With --network the broker is another one that runs already, and all the rest is the same: services and commands find it
through this process, and faults may be set. "parley help networks" has the URLs.

With -o json or jsonl it prints one JSON object on standard output once everything is served.`,
		Example: "  parley dev\n  parley dev --data /var/tmp/shop -o json\n  parley dev --network 'kafka://127.0.0.1:9092?survives=process'",
		Args:    words(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Network, err = a.elsewhere(); err != nil {
				return err
			}
			sdk, err := parleyotel.Start(c.Context(), "parley-dev")
			if err != nil {
				return usage(fmt.Errorf("the variables OTEL_…: %w", err))
			}
			defer a.flush(c.Context(), sdk)
			o.Telemetry, o.Metrics = sdk.Providers(), sdk.Handler()
			o.Warn = func(line string) { a.note("broker: %s", line) }
			var printed error
			err = node.Run(c.Context(), o, func(i node.Info) { printed = a.greet(i) })
			if errors.Is(err, network.ErrRunning) {
				return hint(err, "parley ps")
			}
			if err != nil {
				return err
			}
			a.note("stopped")
			return printed
		},
	}
	c.Flags().StringVar(&o.Dir, "data", node.DefaultDir, "`directory` of the data")
	c.Flags().StringVar(&o.HTTP, "http", "", "`host:port` that answers people over HTTP (default "+node.DefaultHTTP+", or the next free port)")
	c.Flags().StringVar(&o.Broker, "listen", "", "`host:port` of the broker for other processes (default: any free port)")
	return c
}

// greet says that a node is there.
func (a *app) greet(i node.Info) error {
	if !a.table() {
		return showOne(a, i, nil)
	}
	if i.Notice != "" {
		a.note("note: %s", i.Notice)
	}
	what := "embedded broker, nothing leaves this machine"
	if a.network != "" {
		what = "on a broker that is elsewhere"
	}
	a.note(`parley dev · %s

  HTTP      %s
  Broker    %s
  Data      %s

Start services as they are; they find this network. In another terminal:

  parley ps                who is there
  parley follow ID         what became of a message
  parley lag               what waits, and for whom
  parley operations        what runs, waits and has ended
  parley failed            what could not be handled

Ctrl-C stops it.`, what, i.HTTP, i.URL, i.Dir)
	return nil
}
