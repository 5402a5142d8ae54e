package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
)

// lookLimit bounds the work of commands that only ask.
const lookLimit = 10 * time.Second

// verb holds the flags of call, start, signal, send and publish.
type verb struct {
	style   parley.Style
	data    string
	id      string
	headers []string
	key     string // of messages
	after   string // of messages: NotBefore
}

func (v *verb) flags(c *cobra.Command) {
	c.Flags().StringVarP(&v.data, "data", "d", "", "the whole body: `JSON`, @FILE, or - for standard input")
	c.Flags().StringVar(&v.id, "id", "", "`ID` of your choice, so that doing it again is the same message")
	c.Flags().StringArrayVar(&v.headers, "header", nil, "`name=value` of a header; may be repeated")
	if v.style == parley.StyleCommand || v.style == parley.StyleEvent {
		c.Flags().StringVar(&v.key, "key", "", "`KEY` among whose messages order is kept, where the contract wants one")
		c.Flags().StringVar(&v.after, "not-before", "", "`TIME` before which nobody gets it: RFC 3339, or a duration from now such as 10m")
	}
}

func newCallCommand(a *app) *cobra.Command {
	v := verb{style: parley.StyleCall}
	c := &cobra.Command{
		Use:   "call ADDRESS [field=value…]",
		Short: "Ask a service and print its answer",
		Long: `call asks a running service and waits for its answer, which is printed as JSON. The body is checked against
the contract that the service announced, before it is sent. Fields are typed as the contract wants them; a.b=c sets
the field b of the object a.`,
		Example: `  parley call stock.v1.reserve order_id=o-1 sku=espresso quantity=2
  echo '{"sku":"espresso","quantity":2}' | parley call prices.v1.quote -d - -o jsonl`,
		Args: words(1, -1),
	}
	v.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		content, err := a.readBody(v.data, c.Flags().Changed("data"), args[1:])
		if err != nil {
			return err
		}
		options, err := v.requestOptions()
		if err != nil {
			return err
		}
		return a.on(func(ctx context.Context, s *session, args []string) error {
			return a.call(ctx, s, args[0], content, options)
		})(c, args)
	}
	return c
}

func (a *app) call(ctx context.Context, s *session, address string, content body, options []parley.RequestOption) error {
	remote, err := lookup(ctx, s, address, parley.StyleCall)
	if err != nil {
		return err
	}
	sent, err := content.encode(readShape(remote.Request))
	if err != nil {
		return err
	}
	ctx, cancel := a.bound(ctx, 0) // to look the contract up is no part of the call
	defer cancel()
	var id parley.MessageID
	answer, err := remote.Call(ctx, s.client, sent, append(options, parley.ReportID(&id))...)
	if a.verbose && id != "" {
		a.note("id: %s", id)
	}
	if err != nil {
		return refused(err, remote)
	}
	value := jsontext.Value(answer)
	if len(value) == 0 {
		return nil
	}
	if !value.IsValid() {
		_, err := a.out.Write(answer)
		return err
	}
	if a.output == outputLines {
		return a.printJSON(value)
	}
	return a.printJSON(value, jsontext.WithIndent("  "))
}

// lookup asks for the contract of an address, which must be of a style.
func lookup(ctx context.Context, s *session, address string, style parley.Style) (*parley.Remote, error) {
	remote, err := parley.Lookup(ctx, s.client, address)
	switch {
	case parley.CodeOf(err) == parley.NotFound:
		return nil, hint(err, "parley ps")
	case err != nil:
		return nil, err
	case remote.Style != style:
		return nil, &failure{exit: exitUsage, try: fmt.Sprintf("parley %s %s", verbs[remote.Style], address),
			err: fmt.Errorf("%s is no %s but %s", address, style, aStyle(remote.Style))}
	}
	return remote, nil
}

// verbs are the commands for each style.
var verbs = map[parley.Style]string{
	parley.StyleCall: "call", parley.StyleOperation: "start", parley.StyleCommand: "send", parley.StyleEvent: "publish",
}

// aStyle is a style with its article.
func aStyle(s parley.Style) string {
	if strings.ContainsAny(string(s[:1]), "aeiou") {
		return "an " + string(s)
	}
	return "a " + string(s)
}

// refused adds to an error of a body what would have been right.
func refused(err error, remote *parley.Remote) error {
	e, ok := asError(err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	key := ""
	if remote.Partitions > 0 {
		key = "--key KEY "
	}
	return hint(err, "%s", strings.TrimSpace(fmt.Sprintf("parley %s %s %s%s", verbs[remote.Style], remote.Address, key, readShape(remote.Request).example())))
}

func (v *verb) requestOptions() (options []parley.RequestOption, err error) {
	common, err := v.commonOptions()
	for _, o := range common {
		options = append(options, o)
	}
	return options, err
}

func (v *verb) commonOptions() (options []parley.MessageCallOption, err error) {
	pairs, err := headers(v.headers)
	if err != nil {
		return nil, usage(err)
	}
	for _, h := range pairs {
		options = append(options, parley.Header(h.path, h.value))
	}
	if v.id != "" {
		options = append(options, parley.WithID(parley.MessageID(v.id)))
	}
	return options, nil
}
