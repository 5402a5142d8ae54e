package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/internal/demo"
)

func newDemoCommand(a *app) *cobra.Command {
	var o demo.Options
	var headless bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch a shop and a bank whose services fail on purpose, and nothing is lost",
		Long: `demo runs the example shop and the example bank as separate processes beside a broker process of their own, or on the broker
that --network names, in an environment of their own there, and tells what happens: the card processor fails on purpose, a breaker opens, commands become dead letters; the service that owns
the bank's loans is stopped, and applications go on; all of it heals. It goes on until Ctrl-C, or for --duration. It
touches neither your data nor your running parley dev.

In the end it compares what each service wrote into a log of its own with what was confirmed to the senders: every
message handled, every operation ended, and failed for a reason of the business if at all. The exit code is 1 if anything
was lost, or if the story did not happen as told. The seed fixes what is ordered and asked for, not the timing.

With -o json the story goes to standard error, and one JSON object to standard output at the end.`,
		Example: "  parley demo\n  parley demo --headless --duration 60s --seed 1 -o json\n" +
			"  parley demo --network 'amqp://ann:secret@127.0.0.1/?survives=process'",
		Args: words(0, 0),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Network, err = a.elsewhere(); err != nil {
				return err
			}
			switch {
			case headless && o.Duration == 0:
				o.Duration = demo.FullDuration
			case o.Duration != 0 && o.Duration < demo.MinDuration:
				return usage(fmt.Errorf("--duration %v: want at least %v", o.Duration, demo.MinDuration))
			}
			switch {
			case a.quiet:
			case a.table():
				o.Out = a.out
			default:
				o.Out = a.err
			}
			report, err := demo.Run(c.Context(), o)
			if err != nil {
				return err
			}
			if !a.table() {
				if err := a.printJSON(report); err != nil {
					return err
				}
			}
			if broken := report.Broken(); len(broken) > 0 {
				return errors.New("the demo did not go as it should\n" + strings.Join(broken, "\n"))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&headless, "headless", false, "end by itself, after --duration (default "+demo.FullDuration.String()+")")
	c.Flags().DurationVar(&o.Duration, "duration", 0, "how `long` the story takes, at least "+demo.MinDuration.String()+" (default: a minute, and then until Ctrl-C)")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "seed of what is ordered and asked for")
	c.Flags().StringVar(&o.Data, "data", "", "`directory` to keep everything in (default: a temporary one)")
	return c
}
