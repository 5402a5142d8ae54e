// Command run starts and ends real brokers for people and for make.
//
//	run start [KIND…]                 leaves them running and prints the variables that name them; stop ends them
//	run stop
//	run exec [-kinds K,…] -- CMD …    runs CMD with those that no variable names, and ends them
//	run install [KIND…]               only brings what they need
//
// Kinds are rabbitmq, kafka and nats; without any it is all of them. Standard output has the variables alone, so that a
// shell can take them by eval. The servers that were left running are kept in the directory -state.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/parley-io/parley/internal/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are a process' standard ones.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

const usage = "usage: run [-state DIR] start [KIND…] | stop | exec [-kinds K,…] -- CMD… | install [KIND…]"

// run does what the words say and is the exit code: 0, 1 for what failed, 2 for words not understood, and that of the
// command with exec.
func run(ctx context.Context, words []string, std streams) int {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(std.err)
	state := state{dir: ".tools/servers"}
	flags.StringVar(&state.dir, "state", state.dir, "`directory` of what was left running")
	if flags.Parse(words) != nil {
		return 2
	}
	verb, rest := flags.Arg(0), flags.Args()
	if len(rest) > 0 {
		rest = rest[1:]
	}
	var err error
	switch {
	case verb == "exec":
		err = execute(ctx, rest, std)
	case verb == "stop" && len(rest) == 0:
		err = state.stop(ctx, std.err)
	case verb == "start" || verb == "install":
		var kinds []servers.Kind
		if kinds, err = parseKinds(rest); err != nil {
			break
		}
		if verb == "install" {
			err = servers.Install(ctx, std.err, kinds...)
			break
		}
		err = state.start(ctx, std, kinds)
	default:
		err = errUsage
	}
	return code(err, std.err)
}

var errUsage = errors.New(usage)

// code is the exit code that an error stands for; it tells the error, but for a command's own.
func code(err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	if ended, ok := err.(*exec.ExitError); ok { //nolint:errorlint // one that is wrapped is not the command's own
		if ended.ExitCode() >= 0 {
			return ended.ExitCode()
		}
		return 128 + int(ended.Sys().(syscall.WaitStatus).Signal()) // as shells do
	}
	_, _ = fmt.Fprintln(w, err)
	if errors.Is(err, errUsage) || errors.Is(err, flag.ErrHelp) {
		return 2
	}
	return 1
}

// parseKinds are those named, all of them where none is.
func parseKinds(words []string) ([]servers.Kind, error) {
	if len(words) == 0 {
		return servers.Kinds(), nil
	}
	var kinds []servers.Kind
	for _, word := range words {
		kind := servers.Kind(strings.ToLower(word))
		if !slices.Contains(servers.Kinds(), kind) {
			return nil, fmt.Errorf("no kind %q; kinds are %v: %w", word, servers.Kinds(), errUsage)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}
