package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
)

// execution is an operation whose result is JSON.
type execution = parley.Execution[jsontext.Value]

// untilTheEnd is the value of --wait without one.
const untilTheEnd = "end"

func newStartCommand(a *app) *cobra.Command {
	v := verb{style: parley.StyleOperation}
	var wait string
	c := &cobra.Command{
		Use:   "start ADDRESS [field=value…]",
		Short: "Start an operation and print its id",
		Long: `start asks for an operation and prints its id once the request is stored: at its owner, or, while that is away, in
the owner's queue. The body is checked against the contract that the owner announced; while it is away, by the owner once
it is back. Starting again with the same --id and body is the same operation.

With --wait it shows how the operation goes, and then its result; with --wait=DURATION no longer than that. The exit code
is then 1 if the operation has failed or was canceled, and 5 if it still runs.`,
		Example: `  parley start loans.v1.decide name=ann cents=250000
  parley start loans.v1.decide -d @loan.json --id loan-17 --wait=30s
  parley start loans.v1.decide -d @loan.json -o json`,
		Args: words(1, -1),
	}
	v.flags(c)
	c.Flags().StringVar(&wait, "wait", "", "show how it goes until its end, or for a `DURATION`")
	c.Flags().Lookup("wait").NoOptDefVal = untilTheEnd
	c.RunE = func(c *cobra.Command, args []string) error {
		args, wait = waitArgument(args, wait)
		limit, err := waitLimit(wait)
		if err != nil {
			return err
		}
		content, err := a.readBody(v.data, c.Flags().Changed("data"), args[1:])
		if err != nil {
			return err
		}
		options, err := v.requestOptions()
		if err != nil {
			return err
		}
		return a.on(func(ctx context.Context, s *session, _ []string) error {
			x, err := a.startOperation(ctx, s, args[0], content, options, wait != "")
			if err != nil || wait == "" {
				return err
			}
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
			}
			return a.await(ctx, s, args[0], x)
		})(c, args)
	}
	return c
}

// waitArgument makes "--wait 5s" the same as "--wait=5s": an argument that is no field can be nothing else.
func waitArgument(args []string, wait string) (rest []string, value string) {
	if wait != untilTheEnd {
		return args, wait
	}
	for i, arg := range args {
		if _, err := time.ParseDuration(arg); i > 0 && err == nil {
			return slices.Delete(slices.Clone(args), i, i+1), arg
		}
	}
	return args, wait
}

// waitLimit reads --wait; 0 = no limit.
func waitLimit(wait string) (time.Duration, error) {
	if wait == "" || wait == untilTheEnd {
		return 0, nil
	}
	d, err := time.ParseDuration(wait)
	if err != nil || d <= 0 {
		return 0, usage(fmt.Errorf("--wait %q: want a duration above zero such as 30s, or --wait alone for the end", wait))
	}
	return d, nil
}

// started is what start prints.
type started struct {
	ID      parley.MessageID `json:"id"`
	Address string           `json:"address"`
	Queued  bool             `json:"queued,omitzero"` // its owner is away; the request waits in its queue
}

// startOperation starts an operation and says so, unless what becomes of it is printed anyway.
func (a *app) startOperation(ctx context.Context, s *session, address string, content body, options []parley.RequestOption, waits bool) (execution, error) {
	remote, err := lookup(ctx, s, address, parley.StyleOperation)
	if err != nil {
		return execution{}, err
	}
	input, err := content.encode(a.shapeOf(remote, remote.Request, content))
	if err != nil {
		return execution{}, err
	}
	if value := jsontext.Value(input); value.Compact() == nil {
		input = value // the same body however it was written
	}
	starting, cancel := a.bound(ctx, 0) // to look the contract up and to wait are no part of the start
	defer cancel()
	var id parley.MessageID
	x, err := remote.Start(starting, s.client, input, append(options, parley.ReportID(&id))...)
	if err != nil {
		return x, refused(err, remote)
	}
	away := remote.Service == ""
	if away {
		a.note("its owner is away; the request waits in its queue")
	}
	switch {
	case waits:
		a.note("id: %s", x.ID)
	case !a.table():
		return x, showOne(a, started{x.ID, address, away}, nil)
	default:
		a.note("follow it: parley follow %s", x.ID)
		a.note("wait: parley wait %s", x.ID)
		_, err = fmt.Fprintln(a.out, x.ID)
	}
	return x, err
}

// shapeOf is what fields are typed by. While the owner of an operation is away that is what they look like.
func (a *app) shapeOf(remote *parley.Remote, schema jsontext.Value, content body) *shape {
	if remote.Service != "" {
		return readShape(schema)
	}
	if content.json == nil && len(content.fields) > 0 {
		a.note("warning: the contract is not known while the owner is away: %s as what they look like; -d takes a body as it is", sentAs(content.fields))
	}
	return &shape{guess: true}
}

func sentAs(fields []field) string {
	var names []string
	for _, f := range fields {
		names = append(names, f.path)
	}
	return strings.Join(names, ", ") + " are sent"
}
