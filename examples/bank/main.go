// Command bank runs the example bank: `go run ./examples/bank` all of it in one process with an embedded broker, or,
// beside a running `parley dev`, each service by itself: `go run ./examples/bank bureau loans`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/parley-io/parley/examples/bank/bank"
	"github.com/parley-io/parley/network"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bank", flag.ContinueOnError)
	var o bank.Options
	url := flags.String("network", "", "URL of the network; empty: $PARLEY_NETWORK, a running parley dev, or embedded")
	flags.StringVar(&o.Journal, "journal", "", "directory of an outside log: what was confirmed, handled and done")
	flags.Float64Var(&o.Applications.PerSecond, "applications", 1, "applications per second that applicants make; 0: none")
	flags.Uint64Var(&o.Applications.Seed, "seed", 1, "seed of who wants what")
	flags.DurationVar(&o.Applications.For, "for", 0, "how long applicants come; 0: until the end")
	flags.BoolVar(&o.Quick, "quick", false, "retries and breakers of seconds instead of minutes, as in the demo")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	net, err := network.Open(ctx, *url, network.WithNotice(func(line string) { fmt.Fprintln(os.Stderr, "bank:", line) }))
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, net.Close(closing))
	}()
	return bank.Run(ctx, net, flags.Args(), o)
}
