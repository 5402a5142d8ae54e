// Command crash tells the demo's story while it ends processes with kill -9: services, and the one that runs the broker.
// Afterwards nothing that was confirmed may be lost, each trail must agree with the outside logs or mark its gap, and
// every Await must return. Its exit code is 1 otherwise.
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
	flag.IntVar(&o.rounds, "rounds", 10, "how often a process is killed")
	flag.StringVar(&o.parley, "parley", "bin/parley", "the parley binary")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "decides who is killed and when (default: a random one)")
	flag.Parse()
	err := crash(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		fmt.Fprintf(os.Stderr, "again: go run ./internal/crash -rounds %d -parley %s -seed %d\n", o.rounds, o.parley, o.seed)
		os.Exit(1)
	}
}
