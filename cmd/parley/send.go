package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
)

func newSendCommand(a *app) *cobra.Command {
	return newMessageCommand(a, &cobra.Command{
		Use:   "send ADDRESS [field=value…]",
		Short: "Send a command and print its id",
		Long: `send gives a command to the broker and prints its id once it is stored. The body is checked against the contract
that the receiving service announced, before it is sent.`,
		Example: `  parley send billing.v1.charge order_id=o-1 cents=250
  parley send mail.v1.send-receipt --key a@example.com -d @receipt.json -o json`,
	}, parley.StyleCommand)
}

func newPublishCommand(a *app) *cobra.Command {
	return newMessageCommand(a, &cobra.Command{
		Use:   "publish ADDRESS [field=value…]",
		Short: "Publish an event and print its id",
		Long: `publish gives an event to the broker and prints its id once it is stored for every group that subscribes. The body
is checked against the contract that a running subscriber announced, before it is sent.`,
		Example: `  parley publish storefront.v1.order-placed --key a@example.com order_id=o-1 email=a@example.com sku=filter quantity=1 cents=310
  parley publish storefront.v1.sold -d @placed.json -o json`,
	}, parley.StyleEvent)
}

func newMessageCommand(a *app, c *cobra.Command, style parley.Style) *cobra.Command {
	v := verb{style: style}
	c.Args = words(1, -1)
	v.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		content, err := a.readBody(v.data, c.Flags().Changed("data"), args[1:])
		if err != nil {
			return err
		}
		options, err := v.sendOptions(time.Now())
		if err != nil {
			return err
		}
		return a.on(func(ctx context.Context, s *session, args []string) error {
			return a.send(ctx, s, args[0], v, content, options)
		})(c, args)
	}
	return c
}

// sent is what send and publish print.
type sent struct {
	ID      parley.MessageID `json:"id"`
	Address string           `json:"address"`
	Key     string           `json:"key,omitzero"`
}

func (a *app) send(ctx context.Context, s *session, address string, v verb, content body, options []parley.SendOption) error {
	remote, err := lookup(ctx, s, address, v.style)
	if err != nil {
		return err
	}
	payload, err := content.encode(readShape(remote.Request))
	if err != nil {
		return err
	}
	ctx, cancel := a.bound(ctx, 0) // to look the contract up is no part of the sending
	defer cancel()
	id, err := remote.Send(ctx, s.client, v.key, payload, options...)
	switch {
	case err != nil && remote.Partitions > 0 && v.key == "":
		return hint(refused(err, remote), "parley %s %s --key KEY …", verbs[v.style], address)
	case err != nil:
		return refused(err, remote)
	}
	if !a.table() {
		return showOne(a, sent{id, address, v.key}, nil)
	}
	a.note("follow it: parley follow %s", id)
	_, err = fmt.Fprintln(a.out, id)
	return err
}

func (v *verb) sendOptions(now time.Time) (options []parley.SendOption, err error) {
	common, err := v.commonOptions()
	for _, o := range common {
		options = append(options, o)
	}
	if v.after == "" || err != nil {
		return options, err
	}
	at, err := time.Parse(time.RFC3339, v.after)
	if err != nil {
		d, err := time.ParseDuration(v.after)
		if err != nil || d < 0 {
			return nil, usage(fmt.Errorf("--not-before %q: want a time such as %s, or a duration such as 10m", v.after, now.Format(time.RFC3339)))
		}
		at = now.Add(d)
	}
	return append(options, parley.NotBefore(at)), nil
}

// asError is the Error in err.
func asError(err error) (*parley.Error, bool) { return errors.AsType[*parley.Error](err) }
