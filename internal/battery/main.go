// Command battery breaks a network on purpose, under load and for minutes, and compares what publishers were told with
// what handlers did: nothing that was confirmed may be lost, nothing be handled that nobody sent, nothing be handled
// twice that no fault touched, and the order of a key be as it was sent. It starts the brokers itself, and its workers as
// processes of their own. It tells what happens while it happens, and figures at the end; its exit code is 1 where
// something is wrong, and it tells the command that does the same again.
//
//	go run ./internal/battery -network embedded|nats|rabbitmq|kafka [-cluster] [-only NAME,…] [-seed N] [-short] [-rate N] [-o json]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-io/parley/transport/transporttest"
)

func main() {
	transporttest.Play(play)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program; it answers the exit code: 0, 1 where something is wrong, 2 for words not understood.
func run(ctx context.Context, words []string, out, progress io.Writer) int {
	progress = &shared{to: progress}
	o := options{out: progress}
	var only, form string
	flags := flag.NewFlagSet("battery", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.network, "network", embeddedNetwork, "`name` of the network: "+strings.Join(networks, ", "))
	flags.BoolVar(&o.cluster, "cluster", false, "on a cluster of three; its own scenario unless -only names others")
	flags.StringVar(&only, "only", "", "`names` of scenarios, joined by commas; all by default:\n"+catalogue())
	flags.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "decides what happens when (default: a random one)")
	flags.BoolVar(&o.short, "short", false, "a few minutes instead of an hour")
	flags.IntVar(&o.rate, "rate", 0, "messages a `second` that are offered, on a machine that is not as fast; 0: what each scenario wants")
	flags.StringVar(&form, "o", "text", "text or json, on standard output")
	err := flags.Parse(words)
	if err == nil && !slices.Contains(networks, o.network) {
		err = fmt.Errorf("network %q: want one of %s", o.network, strings.Join(networks, ", "))
	}
	if err == nil && o.rate < 0 {
		err = fmt.Errorf("-rate %d: want 0 or more", o.rate)
	}
	if err == nil && (flags.NArg() > 0 || form != "text" && form != "json") {
		err = fmt.Errorf("%q -o %s: want no arguments, and text or json", flags.Args(), form)
	}
	chosen, unknown := choose(only, o.cluster)
	if err = errors.Join(err, unknown); err != nil {
		_, _ = fmt.Fprintln(progress, err)
		return 2
	}
	results := make([]result, 0, len(chosen))
	for _, sc := range chosen {
		_, _ = fmt.Fprintf(progress, "\n%s on %s, seed %d: %s\n", sc.name, o.network, o.seed, sc.what)
		results = append(results, perform(ctx, o, sc))
		if ctx.Err() != nil {
			break
		}
	}
	if err := report(out, form, results); err != nil {
		_, _ = fmt.Fprintln(progress, err)
		return 1
	}
	if len(results) < len(chosen) || slices.ContainsFunc(results, func(r result) bool { return !r.Passed }) {
		return 1
	}
	return 0
}

// shared is a writer for several goroutines.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(b)
}

// networks are those that the battery knows.
var networks = []string{embeddedNetwork, "nats", "rabbitmq", "kafka"}

func catalogue() string {
	var b strings.Builder
	for _, sc := range scenarios() {
		_, _ = fmt.Fprintf(&b, "  %-9s %s\n", sc.name, sc.what)
	}
	return b.String()
}

// choose are the scenarios of these names; without names, those for a cluster or the others.
func choose(only string, cluster bool) (chosen []scenario, err error) {
	all := scenarios()
	if only == "" {
		return slices.DeleteFunc(all, func(sc scenario) bool { return sc.clustered != cluster }), nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(sc scenario) bool { return sc.name == name })
		switch {
		case i < 0:
			err = errors.Join(err, fmt.Errorf("no scenario %q; there are:\n%s", name, catalogue()))
		case all[i].clustered != cluster && (all[i].clustered || all[i].single):
			err = errors.Join(err, fmt.Errorf("scenario %s: with -cluster = %v it can't be run", name, cluster))
		default:
			chosen = append(chosen, all[i])
		}
	}
	return chosen, err
}

// report writes the figures, and for what is wrong the command that does it again.
func report(out io.Writer, form string, results []result) error {
	if form == "json" {
		return json.MarshalWrite(out, results, jsontext.WithIndent("  "))
	}
	var b strings.Builder
	for _, r := range results {
		word := "passed"
		if !r.Passed {
			word = "WRONG"
		}
		_, _ = fmt.Fprintf(&b, "\n%s on %s: %s in %v\n", r.Scenario, r.Network, word, (time.Duration(r.Took) * time.Second))
		for _, f := range r.Figures {
			_, _ = fmt.Fprintf(&b, "  %-45s %s\n", f.Name, f.Value)
		}
		for _, problem := range r.Problems {
			_, _ = fmt.Fprintf(&b, "  WRONG: %s\n", problem)
		}
		if !r.Passed {
			_, _ = fmt.Fprintf(&b, "  again: %s\n", r.Again)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
