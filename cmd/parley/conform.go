package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/conform"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/transporttest"
)

func newConformCommand(a *app) *cobra.Command {
	var o conform.Options
	var report string
	var numbers []string
	c := &cobra.Command{
		Use:   "conform [URL]",
		Short: "Try whether a broker keeps the promises",
		Long: `conform tries to break each promise of docs/brokers.md and of delivery on the broker of a URL, one after the other: some
minutes, and many more with --full. Processes that publish and handle are killed and frozen meanwhile; the broker itself is
not, unless it is embedded://, which is started for this and killed too. What needs more than it is given is "not run".

It works under a prefix of its own, which begins with that of the URL, and deletes what it made there, also after Ctrl-C;
a second Ctrl-C ends it at once, and leaves that behind. Without a URL it is that of --network or PARLEY_NETWORK.

The exit code is 1 if a promise is broken or something is left behind, and 2 for a URL or a number that is wrong.`,
		Example: "  parley conform 'amqp://ann:secret@127.0.0.1/?prefix=try' --report report.html\n" +
			"  parley conform kafka://127.0.0.1:9092 --checks 13,26 -o json\n  parley conform embedded:// --full",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.URL, err = a.conformURL(args); err != nil {
				return err
			}
			if o.Checks, err = checkNumbers(numbers); err != nil {
				return err
			}
			return a.conform(c.Context(), o, report)
		},
	}
	c.Flags().StringSliceVar(&numbers, "checks", nil, "`numbers` of the checks to run, joined by commas (default: all)")
	c.Flags().BoolVar(&o.Full, "full", false, "as often as the whole list wants, such as 50 kills instead of 5")
	c.Flags().Uint64Var(&o.Seed, "seed", 0, "`number` that decides when faults come (default: a new one; the replay of a failure names it)")
	c.Flags().StringVar(&report, "report", "", "`file` for a report to look at in a browser")
	return c
}

// conformURL is the URL that is meant.
func (a *app) conformURL(args []string) (string, error) {
	switch {
	case len(args) > 0 && a.network != "":
		return "", usage(errors.New("a URL and --network: want one of them"))
	case len(args) > 0:
		return args[0], nil
	}
	if url := or(a.network, os.Getenv("PARLEY_NETWORK")); url != "" {
		return url, nil
	}
	return "", usage(errors.New("which broker? want a URL; parley help networks has them"))
}

func checkNumbers(words []string) (numbers []int, err error) {
	for _, w := range words {
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil, usage(fmt.Errorf("--checks: %q: want numbers, such as 13,26", w))
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// conform runs, shows and keeps.
func (a *app) conform(ctx context.Context, o conform.Options, file string) (err error) {
	page, err := newReportFile(file) // now, and not when all is done
	if err != nil {
		return usage(fmt.Errorf("--report: %w", err))
	}
	defer func() { err = errors.Join(err, page.discard()) }()
	run, cancel := a.bound(ctx, 0)
	defer cancel()
	line := newConformLine(a)
	o.Progress = line.show
	r, err := conform.Run(run, o)
	line.end()
	switch {
	case errors.Is(err, conform.ErrOptions):
		return usage(err)
	case err != nil:
		return notConformed(err)
	}
	if err := a.showConformance(r); err != nil {
		return err
	}
	if err := page.keep(r.HTML); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	if file != "" {
		a.note("report: %s", file)
	}
	return a.conformed(ctx, r)
}

// notConformed is why a run could not begin. What a broker does not say for certain may be that it is not there.
func notConformed(err error) error {
	f := &failure{err: err, exit: exitOf(err)}
	if code := transport.CodeOf(err); code == transport.Unknown || code == transport.Unavailable {
		f.exit, f.try = exitUnreachable, "parley help networks"
	}
	return f
}

// conformed is the run as the command's own outcome.
func (a *app) conformed(ctx context.Context, r *conform.Report) error {
	var broken []string
	for _, c := range r.Checks {
		if c.Outcome == transporttest.Failed {
			broken = append(broken, fmt.Sprintf("%d %s; try it again: %s", c.Number, c.Name, c.Replay))
		}
	}
	switch {
	case len(broken) > 0:
		return &failure{exit: exitFailed, err: fmt.Errorf("%s\n%s", r, strings.Join(broken, "\n"))}
	case r.Left != "":
		return &failure{exit: exitFailed, err: fmt.Errorf("something is left behind on %s under the prefix %s\n%s", r.Broker, r.Prefix, r.Left)}
	case ctx.Err() != nil:
		return &failure{exit: exitInterrupted, err: fmt.Errorf("interrupted: %s", r)}
	case r.Stopped != "":
		return &failure{exit: exitDeadline, err: fmt.Errorf("the time of --timeout was over: %s", r)}
	}
	return nil
}

// reportFile is a file that is there under its name once it is whole. nil = none is wanted.
type reportFile struct {
	f    *os.File
	name string
}

func newReportFile(name string) (*reportFile, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // none is what was asked for
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".parley-report-*")
	if err != nil {
		return nil, err
	}
	return &reportFile{f, name}, nil
}

// keep writes the file and gives it its name.
func (p *reportFile) keep(write func(io.Writer) error) error {
	if p == nil {
		return nil
	}
	const readable = 0o644 // by all, as what people write into files is
	if err := errors.Join(write(p.f), p.f.Chmod(readable), p.f.Close()); err != nil {
		return err
	}
	return os.Rename(p.f.Name(), p.name)
}

// discard leaves nothing of a file that was not kept.
func (p *reportFile) discard() error {
	if p == nil {
		return nil
	}
	_ = p.f.Close() // as it may be
	if err := os.Remove(p.f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
