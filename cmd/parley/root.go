package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "parley",
		Short: "Calls, operations, commands and events between services, and what became of each",
		Long: `parley runs a network for development, talks to the services on it, and shows what became of each message.

Start with "parley demo" for a story of a minute, or with "parley dev" and services of your own.

Commands find the network by --network, else by the environment variable PARLEY_NETWORK, else they use the one of
your running "parley dev"; "parley help networks" has the URLs. Data goes to standard output, everything else to standard error.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.start() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	flags := root.PersistentFlags()
	flags.StringVar(&a.network, "network", "", "`URL` of the network (default: $PARLEY_NETWORK, else a running parley dev)")
	flags.StringVarP(&a.output, "output", "o", outputTable, "`FORM` of the output: "+strings.Join(outputs, ", "))
	flags.DurationVar(&a.timeout, "timeout", 0, "how long the work behind the command may take (default: as the command says)")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no hints and no progress on standard error")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "more on standard error: ids, the network that is used")
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Run a network:", []*cobra.Command{newDemoCommand(a), newDevCommand(a), newServeCommand(a), newConformCommand(a)}},
		{"Talk to services:", []*cobra.Command{
			newCallCommand(a), newStartCommand(a), newSendCommand(a), newPublishCommand(a),
			newWaitCommand(a), newSignalCommand(a), newCancelCommand(a),
		}},
		{"See what happens:", []*cobra.Command{
			newPsCommand(a), newFollowCommand(a), newTailCommand(a), newLagCommand(a), newOperationsCommand(a), newFailedCommand(a),
			newGroupsCommand(a), newBreakersCommand(a),
		}},
		{"Change how services receive, and let things fail:", []*cobra.Command{
			newPauseCommand(a), newResumeCommand(a), newConcurrencyCommand(a), newFaultCommand(a),
		}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.title
			root.AddCommand(c)
		}
	}
	root.AddCommand(newShopCommand(a), newBankCommand(a), newVersionCommand(a), newNetworksTopic(), newExitCodesTopic())
	root.InitDefaultCompletionCmd()
	return root
}

// start checks the global flags. A command has begun once it succeeds.
func (a *app) start() error {
	if !slices.Contains(outputs, a.output) {
		return fmt.Errorf("output %q: want one of %s", a.output, strings.Join(outputs, ", "))
	}
	if a.timeout < 0 {
		return fmt.Errorf("timeout %v: want a time above zero", a.timeout)
	}
	a.started = true
	return nil
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return usage(fmt.Errorf("parley %s: which one? %s", use, strings.Join(names(c.Commands()), ", ")))
	}}
	c.AddCommand(commands...)
	return c
}

func names(commands []*cobra.Command) (all []string) {
	for _, c := range commands {
		all = append(all, c.Name())
	}
	return all
}
