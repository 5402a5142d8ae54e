// Command crash tells the demo's story while it ends processes with kill -9: services of the shop and of the bank, among
// them those that own operations, and the broker. Afterwards nothing that was confirmed may be lost,
// each trail must agree with the outside logs or mark its gap, and every Await must return. Every operation must have
// ended as its request implies, none of its steps may have begun again after a later one had, what it did must be undone
// exactly where it failed, and every Wait must return. Its exit code is 1 otherwise, and everything is kept.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o := options{out: os.Stdout}
	flag.IntVar(&o.rounds, "rounds", 30, "how often a process is killed")
	flag.StringVar(&o.parley, "parley", "bin/parley", "the parley binary")
	flag.StringVar(&o.network, "network", "embedded", "what carries the story: embedded, or a server of its own: nats, rabbitmq or kafka")
	flag.BoolVar(&o.only, "only-broker", false, "kill nothing but the broker")
	flag.DurationVar(&o.away, "away", 0, "how long a server that was killed stays away")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "decides who is killed and when (default: a random one)")
	flag.Parse()
	err := crash(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		fmt.Fprintf(os.Stderr, "again: go run ./internal/crash -network %s -rounds %d -only-broker=%t -away %v -parley %s -seed %d\n",
			o.network, o.rounds, o.only, o.away, o.parley, o.seed)
		os.Exit(1)
	}
}
