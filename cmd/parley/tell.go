package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
)

func newCancelCommand(a *app) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel an operation, or a message that waits for its time",
		Long: `cancel of an operation returns once the wish is stored, at the owner or, while that is away, in its queue: no step begins
any more, what was done is undone, and the operation ends as Canceled. One that has ended stays as it is.

A command or event that was sent with --not-before is taken out of the broker, so that nobody gets it. Its trail has to be
known. One that is due, or that a receiver has begun, cannot be canceled. RabbitMQ has no means to find a message that waits.`,
		Example: "  parley cancel loan-17 --reason 'withdrawn by the customer'\n" +
			"  parley cancel 01981c7e-5d0f-7c3b-9a51-1d2f3a4b5c6d\n  parley cancel loan-17 -o json",
		Args: words(1, 1),
		RunE: a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			if h, ok := sentMessage(ctx, s, args[0]); ok {
				return a.unsend(ctx, s, h, reason)
			}
			return a.tellOperation(ctx, s, args[0], func(_ *parley.Remote, x execution) error { return x.Cancel(ctx, s.client, reason) })
		})),
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at it")
	return c
}

func newSignalCommand(a *app) *cobra.Command {
	v := verb{style: parley.StyleOperation}
	c := &cobra.Command{
		Use:   "signal ID NAME [field=value…]",
		Short: "Tell an operation something that it waits for, or will wait for",
		Long: `signal returns once the signal is stored, at the owner of the operation or, while that is away, in its queue. The
payload is checked against the contract. The operation takes it when it asks for it. Telling it again with the same --id is the
same signal.`,
		Example: "  parley signal loan-17 signed by=clara\n  parley signal loan-17 signed -d @signature.json -o json",
		Args:    words(2, -1),
	}
	v.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		content, err := a.readBody(v.data, c.Flags().Changed("data"), args[2:])
		if err != nil {
			return err
		}
		options, err := v.requestOptions()
		if err != nil {
			return err
		}
		return a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			return a.tellOperation(ctx, s, args[0], func(remote *parley.Remote, x execution) error {
				return a.raise(ctx, s, remote, x.ID, args[1], content, options)
			})
		}))(c, args)
	}
	return c
}

func (a *app) raise(ctx context.Context, s *session, remote *parley.Remote, id parley.MessageID, signal string, content body, options []parley.RequestOption) error {
	schema, err := schemaOf(remote, signal)
	if err != nil {
		return err
	}
	shape := a.shapeOf(remote, schema, content)
	payload, err := content.encode(shape)
	if err != nil {
		return err
	}
	_, err = remote.Raise(ctx, s.client, id, signal, payload, options...)
	if e, ok := asError(err); ok && len(e.Fields) > 0 {
		return hint(err, "%s", strings.TrimSpace(fmt.Sprintf("parley signal %s %s %s", id, signal, shape.example())))
	}
	return err
}

// schemaOf is that of a signal's payload; nil while the contract is not known.
func schemaOf(remote *parley.Remote, signal string) ([]byte, error) {
	if remote.Service == "" {
		return nil, nil
	}
	var there []string
	for _, s := range remote.Signals {
		if s.Name == signal {
			return s.Payload, nil
		}
		there = append(there, s.Name)
	}
	return nil, usage(fmt.Errorf("%s has no signal %q; there is %s", remote.Address, signal, or(strings.Join(there, ", "), "none")))
}

// told is what is printed of an operation that was told something.
type told struct {
	ID      parley.MessageID `json:"id"`
	Address string           `json:"address"`
	Status  operation.Status `json:"status,omitzero"` // after it was told
	Queued  bool             `json:"queued,omitzero"` // its owner is away, and will be told
}

// tellOperation does something to an operation and shows where that is then.
func (a *app) tellOperation(ctx context.Context, s *session, id string, do func(*parley.Remote, execution) error) error {
	remote, err := locate(ctx, s, id)
	if err != nil {
		return err
	}
	x := remote.Execution(parley.MessageID(id))
	if err := do(remote, x); err != nil {
		if _, hinted := errors.AsType[*failure](err); hinted || parley.CodeOf(err) == parley.Unavailable {
			return err
		}
		return hint(err, "parley operations show %s", id)
	}
	t := told{ID: x.ID, Address: remote.Address, Queued: remote.Service == ""}
	if !t.Queued {
		if status, err := x.Status(ctx, s.client); err == nil {
			t.Status = status.Status
		}
	}
	return showOne(a, t, func(rows *table) {
		if t.Queued {
			rows.row(t.ID, "its owner is away; it is told when it is back")
			return
		}
		rows.row(t.ID, or(string(t.Status), "told"))
	})
}
