// Command parley runs a network for development, talks to what runs on it and shows what became of each message.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/conform"
)

func main() {
	conform.Play()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but its exit.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, err: errOut}
	root := newRoot(a)
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !a.started { // whatever goes wrong before a command runs is how it was written
		err = &failure{err: err, exit: exitUsage, try: c.CommandPath() + " --help"}
	}
	r := explain(ctx, err)
	if where, _ := a.named(); where != "" && errors.Is(err, parley.ErrNoCollector) {
		r.Try = "parley serve"
	}
	if r.Exit != exitInterrupted || r.Error != context.Canceled.Error() { // who interrupts need not be told
		a.report(r)
	}
	return r.Exit
}
