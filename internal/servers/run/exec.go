package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/parley-io/parley/internal/servers"
)

// patience is how long the command has to end after it was told to.
const patience = time.Minute

// execute runs a command with servers of its own. Its error is the command's where that alone failed.
func execute(ctx context.Context, words []string, std streams) error {
	flags := flag.NewFlagSet("exec", flag.ContinueOnError)
	flags.SetOutput(std.err)
	named := flags.String("kinds", "", "`list` of rabbitmq, kafka, nats; all of them by default")
	if err := flags.Parse(words); err != nil || flags.NArg() == 0 {
		return errors.Join(errUsage, err)
	}
	kinds, err := parseKinds(strings.FieldsFunc(*named, func(r rune) bool { return r == ',' }))
	if err != nil {
		return err
	}
	var company company
	err = company.start(ctx, kinds, std.err)
	if err == nil {
		err = command(ctx, flags.Args(), company.variables(), std)
	}
	if stopped := company.stop(context.WithoutCancel(ctx), err != nil); stopped != nil {
		return errors.Join(err, stopped)
	}
	return err
}

// command passes the streams and the environment on. The terminal's Ctrl-C reaches it by itself; it is told to end where
// this process is.
func command(ctx context.Context, words, variables []string, std streams) error {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // what the caller wants to run
	cmd.Env = append(os.Environ(), variables...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.in, std.out, std.err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	return cmd.Run()
}

// company are the servers of one command.
type company struct {
	mu      sync.Mutex
	running map[servers.Kind]*servers.Server
}

// start starts, all at once, those that no variable names.
func (c *company) start(ctx context.Context, kinds []servers.Kind, log io.Writer) error {
	c.running = map[servers.Kind]*servers.Server{}
	return each(kinds, func(kind servers.Kind) error {
		if os.Getenv(kind.Variable()) != "" {
			_, _ = fmt.Fprintf(log, "%s is what %s names\n", kind, kind.Variable())
			return nil
		}
		server, err := servers.Start(ctx, kind, servers.Options{Log: log})
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.running[kind] = server
		return nil
	})
}

func (c *company) variables() []string {
	var set []string
	for kind, server := range c.running {
		set = append(set, kind.Variable()+"="+server.URL)
	}
	return set
}

func (c *company) stop(ctx context.Context, failed bool) error {
	var errs []error
	for _, server := range c.running {
		server.KeepLogs = failed
		errs = append(errs, server.Stop(ctx))
	}
	return errors.Join(errs...)
}

// each does something with all kinds at once and has their errors.
func each(kinds []servers.Kind, do func(servers.Kind) error) error {
	errs := make([]error, len(kinds))
	var all sync.WaitGroup
	for i, kind := range kinds {
		all.Go(func() { errs[i] = do(kind) })
	}
	all.Wait()
	return errors.Join(errs...)
}
