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
	var from, until string
	var limit int
	c := &cobra.Command{
		Use:   "tail ADDRESS",
		Short: "Print the messages of an event that keeps its history: as they come, or a range of them",
		Long: `tail prints the messages of a stream, a line each, until interrupted: as a reader of its own, without a group, so that
nobody who subscribes notices. Only events whose contract says Stream can be read so: the messages of commands and of
other events belong to those who receive them, and reading one would take it away.

--from and --until name a place in the stream: start, now, a duration ago such as 10m, a time such as
2006-01-02T15:04:05Z, or a position as -o json prints it (position). --until ends before that place, and a time to come is
waited for; with it, --from is the start unless it is given. Order holds among the messages of a key.`,
		Example: "  parley tail storefront.v1.sold\n  parley tail storefront.v1.sold --from 10m\n" +
			"  parley tail storefront.v1.sold --from 2h --until 1h30m -o jsonl\n  parley tail storefront.v1.sold --from start --limit 5 -o json",
		Args: words(1, 1),
	}
	c.Flags().StringVar(&from, "from", "", "`PLACE` to begin at (default: now, or the start with --until)")
	c.Flags().StringVar(&until, "until", "", "`PLACE` to end before (default: none, it waits for more)")
	c.Flags().IntVar(&limit, "limit", 0, "how many messages to print; 0 = all")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := readRange(from, until, time.Now())
		if err != nil {
			return err
		}
		if limit < 0 {
			return usage(fmt.Errorf("--limit %d: want a number from 0", limit))
		}
		return a.on(a.within(0, func(ctx context.Context, s *session, args []string) error {
			return a.tail(ctx, s, args[0], r, limit)
		}))(c, args)
	}
	return c
}

// between is a part of a stream.
type between struct{ from, until transport.Position }

// readRange reads --from and --until.
func readRange(from, until string, now time.Time) (r between, err error) {
	if from == "" && until != "" {
		from = "start"
	}
	if r.from, err = readPlace(from, now); err != nil {
		return r, usage(fmt.Errorf("--from %w", err))
	}
	if until == "" {
		return r, nil
	}
	if r.until, err = readPlace(until, now); err != nil {
		return r, usage(fmt.Errorf("--until %w", err))
	}
	if r.until.IsZero() {
		r.until.Time = now
	}
	if !r.until.Time.IsZero() && !r.from.Time.Before(r.until.Time) {
		return r, usage(fmt.Errorf("--from %s --until %s: nothing is between them", from, until))
	}
	return r, nil
}

// readPlace reads one place in a stream; the zero position is now.
func readPlace(text string, now time.Time) (p transport.Position, err error) {
	switch text {
	case "", "now":
		return p, nil
	case "start":
		return transport.Position{Start: true}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return transport.Position{Time: now.Add(-d)}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return transport.Position{Time: t}, nil
	}
	if strings.Trim(text, "0123456789:-") == "" { // what it means the broker knows
		return transport.Position{At: text}, nil
	}
	return p, fmt.Errorf("%q: want start, now, a duration such as 10m, a time such as %s, or a position", text, now.UTC().Format(time.RFC3339))
}

func (a *app) tail(ctx context.Context, s *session, address string, r between, limit int) error {
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
	route := transport.Route{
		Channel: channelOf(remote.ContractDescription), From: r.from, Until: r.until, Credit: transport.NewCredit(tailCredit),
	}
	if r.from.IsZero() {
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
	Accepted    time.Time         `json:"accepted,omitzero"` // by the broker's clock; absent where it tells no time
	Time        time.Time         `json:"time,omitzero"`     // by the sender's
	Position    string            `json:"position,omitzero"` // of it, for --from and --until
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
		at := d.Accepted
		if at.IsZero() { // a broker that tells no time
			at = e.Time
		}
		_, err := fmt.Fprintf(a.out, "%s  %s  %s  %s\n", at.Local().Format("15:04:05.000"), e.ID, or(e.Key, "-"), text)
		return err
	}
	m := tailed{
		Time: e.Time.UTC(), Position: d.Position, ID: e.ID, Address: e.Address, Key: e.Key, Source: e.Source, Correlation: e.Correlation,
		Causation: e.Causation, ContentType: e.ContentType, Headers: e.Headers,
	}
	if !d.Accepted.IsZero() {
		m.Accepted = d.Accepted.UTC()
	}
	if body := jsontext.Value(e.Body); body.IsValid() {
		m.Body = body
	} else {
		m.Text = strings.ToValidUTF8(string(e.Body), "�")
	}
	return a.printJSON(m)
}
