package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
)

// tailCredit bounds the messages in memory.
const tailCredit = 64

func newTailCommand(a *app) *cobra.Command {
	var from string
	var limit int
	c := &cobra.Command{
		Use:   "tail ADDRESS",
		Short: "Print the messages of an event that keeps its history, as they come",
		Long: `tail prints the messages of a stream, a line each, until interrupted: as a reader of its own, without a group, so that
nobody who subscribes notices. Only events whose contract says Stream can be read so: the messages of commands and of
other events belong to those who receive them, and reading one would take it away.`,
		Example: "  parley tail storefront.v1.sold\n  parley tail storefront.v1.sold --from 10m\n  parley tail storefront.v1.sold --from start --limit 5 -o json",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&from, "from", "now", "where to begin: start, now, or a `DURATION` ago such as 10m")
	c.Flags().IntVar(&limit, "limit", 0, "how many messages to print; 0 = until interrupted")
	c.RunE = func(c *cobra.Command, args []string) error {
		position, err := readPosition(from, time.Now())
		if err != nil {
			return err
		}
		if limit < 0 {
			return usage(fmt.Errorf("--limit %d: want a number from 0", limit))
		}
		return a.on(a.within(0, func(ctx context.Context, s *session, args []string) error {
			return a.tail(ctx, s, args[0], position, limit)
		}))(c, args)
	}
	return c
}

func readPosition(from string, now time.Time) (transport.Position, error) {
	switch from {
	case "now":
		return transport.Position{}, nil
	case "start":
		return transport.Position{Start: true}, nil
	}
	d, err := time.ParseDuration(from)
	if err != nil || d < 0 {
		return transport.Position{}, usage(fmt.Errorf("--from %q: want start, now, or a duration such as 10m", from))
	}
	return transport.Position{Time: now.Add(-d)}, nil
}

func (a *app) tail(ctx context.Context, s *session, address string, from transport.Position, limit int) error {
	remote, err := parley.Lookup(ctx, s.client, address)
	switch {
	case parley.CodeOf(err) == parley.NotFound:
		return hint(err, "parley ps")
	case err != nil:
		return err
	case remote.Style == parley.StyleCall:
		return usage(fmt.Errorf("%s is a call: nothing of it is kept; parley follow shows what became of one", address))
	case remote.Style == parley.StyleOperation:
		return usage(fmt.Errorf("%s is an operation: parley operations list shows what there is, parley wait how one goes", address))
	case remote.Pattern != transport.Stream.String():
		return usage(fmt.Errorf("%s is a %s: its messages belong to those who receive them, and reading one here would need a group of its own or take it away; only events whose contract says Stream can be tailed", address, remote.Pattern))
	}
	reading, enough := context.WithCancel(ctx)
	defer enough()
	route := transport.Route{Channel: channelOf(remote.ContractDescription), From: from, Credit: transport.NewCredit(tailCredit)}
	if from.IsZero() {
		route.Ready = func() { a.note("reading %s from now on", address) }
	}
	messages, printed := make(chan *transport.Delivery, tailCredit), make(chan error, 1)
	go func() { printed <- a.printMessages(messages, limit, enough) }() // ends with messages, and is waited for
	err = s.net.Messages.Receive(reading, route, func(d *transport.Delivery) { messages <- d })
	close(messages)
	return errors.Join(err, <-printed, tailEnded(ctx))
}

// tailEnded: a reader that was told when to stop has not failed.
func tailEnded(ctx context.Context) error {
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// printMessages prints messages, as many as limit says (0 = all), and settles all of them.
func (a *app) printMessages(messages <-chan *transport.Delivery, limit int, enough func()) (err error) {
	n := 0
	for d := range messages {
		if err == nil && (limit == 0 || n < limit) {
			n++
			err = a.printMessage(d)
		}
		d.Settle(transport.Done)
		if err != nil || n == limit && limit > 0 {
			enough()
		}
	}
	return err
}

// tailed is a message as tail prints it.
type tailed struct {
	Accepted    time.Time         `json:"accepted,omitzero"`
	ID          string            `json:"id"`
	Address     string            `json:"address"`
	Key         string            `json:"key,omitzero"`
	Source      string            `json:"source,omitzero"`
	Correlation string            `json:"correlation,omitzero"`
	Causation   string            `json:"causation,omitzero"`
	ContentType string            `json:"content_type,omitzero"`
	Headers     map[string]string `json:"headers,omitzero"`
	Body        jsontext.Value    `json:"body,omitzero"`
	Text        string            `json:"text,omitzero"` // the body, when it is no JSON
}

func (a *app) printMessage(d *transport.Delivery) error {
	e := d.Envelope
	if a.table() {
		text := "(binary)"
		if utf8.Valid(e.Body) {
			text = clip(strings.Join(strings.Fields(string(e.Body)), " "), 160)
		}
		_, err := fmt.Fprintf(a.out, "%s  %s  %s  %s\n", d.Accepted.Local().Format("15:04:05.000"), e.ID, or(e.Key, "-"), text)
		return err
	}
	m := tailed{
		Accepted: d.Accepted.UTC(), ID: e.ID, Address: e.Address, Key: e.Key, Source: e.Source, Correlation: e.Correlation,
		Causation: e.Causation, ContentType: e.ContentType, Headers: e.Headers,
	}
	if body := jsontext.Value(e.Body); body.IsValid() {
		m.Body = body
	} else {
		m.Text = strings.ToValidUTF8(string(e.Body), "�")
	}
	return a.printJSON(m)
}
