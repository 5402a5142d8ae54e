// Command bench measures what Parley costs, side by side with the raw thing in the same run, and says for each target
// whether it is reached. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(childEnv) != "" {
		if err := runChild(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	short, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case short:
		os.Exit(1)
	}
}

// config is what the command line says.
type config struct {
	suite   string
	only    []string // comparisons of messages by name; empty: all, and what else is measured of messages
	network string
	rounds  int
	window  time.Duration // of one variant in one round
	steady  time.Duration
	waiting int           // operations that wait at once
	down    time.Duration // that a callee is away
	output  string
	dir     string // for data, made anew and removed
	profile string // directory for profiles
}

type suite struct {
	name string
	run  func(context.Context, config, *report) error
}

var suites = []suite{{"calls", measureCalls}, {"messages", measureMessages}, {"operations", measureOperations}, {"styles", measureStyles}}

// percent is how much of its full length what has a number of its own is done, for a quick look: all of it in a window of
// a second or more.
func (c config) percent() int { return max(1, int(min(100, 100*c.window.Seconds()))) }

func suiteNames() string {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ") + " or all"
}

// run measures and writes what it found to out; short says that a target is.
func run(ctx context.Context, args []string, out, log io.Writer) (short bool, err error) {
	c, err := configOf(args, log)
	if err != nil {
		return false, err
	}
	if c.dir, err = os.MkdirTemp(c.dir, "parley-bench-"); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	r := &report{Rounds: c.rounds, log: log}
	if r.Machine, err = look(c); err != nil {
		return false, err
	}
	for _, s := range suites {
		if c.suite != s.name && c.suite != "all" {
			continue
		}
		if err = s.run(ctx, c, r); err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			break // what was measured until then is told
		}
	}
	write := r.writeTable
	if c.output == "json" {
		write = r.writeJSON
	}
	return r.short(), errors.Join(err, write(out))
}

// configOf reads the command line and reports everything that is wrong with it.
func configOf(args []string, log io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&c.suite, "suite", "all", "what is measured: "+suiteNames())
	flags.StringVar(&c.network, "network", embeddedSite,
		"on what messages are measured: some of "+strings.Join(siteNames(), ", ")+" joined by commas, all, or a URL; everything else is measured on embedded")
	only := flags.String("only", "", "what is compared of messages, by the names of targets without the network, joined by commas, such as publish-64,ordered-1ms; empty: everything")
	flags.IntVar(&c.rounds, "rounds", 5, "how often each variant is measured")
	flags.DurationVar(&c.window, "window", 1500*time.Millisecond, "for how long, each time")
	flags.DurationVar(&c.steady, "steady", 20*time.Second, "for how long messages are sent at an even pace")
	flags.IntVar(&c.waiting, "waiting", 10_000, "how many operations wait for a signal")
	flags.DurationVar(&c.down, "down", 5*time.Second, "for how long everything behind the caller is down, in the suite styles")
	flags.StringVar(&c.output, "o", "table", "table or json")
	flags.StringVar(&c.dir, "dir", os.TempDir(), "where brokers keep their data; a real disk, or the figures mean nothing")
	flags.StringVar(&c.profile, "profile", "", "directory for a CPU profile of each process; empty: none")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(flags.NArg() == 0, "arguments %q: want flags only", flags.Args())
	known := slices.ContainsFunc(suites, func(s suite) bool { return s.name == c.suite })
	check(known || c.suite == "all", "-suite %q: want %s", c.suite, suiteNames())
	if *only != "" {
		c.only = strings.Split(*only, ",")
		check(c.suite == "messages", "-only %s: want it with -suite messages", *only)
	}
	for _, name := range c.only {
		known := slices.ContainsFunc(comparisons, func(of comparison) bool { return of.name == name })
		check(known, "-only %q: want some of %s", name, strings.Join(comparisonNames(), ", "))
	}
	check(c.rounds > 0, "-rounds %d: want 1 or more", c.rounds)
	check(c.window > 0 && c.steady > 0, "-window %v -steady %v: want more than 0", c.window, c.steady)
	check(c.waiting > 0 && c.down > 0, "-waiting %d -down %v: want more than 0", c.waiting, c.down)
	check(c.output == "table" || c.output == "json", "-o %q: want table or json", c.output)
	var err error
	c.dir, err = filepath.Abs(c.dir)
	errs = append(errs, err, checkNetwork(c.network))
	if c.profile != "" {
		c.profile, err = filepath.Abs(c.profile)
		errs = append(errs, err, os.MkdirAll(c.profile, 0o755))
	}
	return c, errors.Join(errs...)
}
