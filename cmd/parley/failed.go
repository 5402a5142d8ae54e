package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger/collector"
)

func newFailedCommand(a *app) *cobra.Command {
	list := newFailedListCommand(a)
	c := group("failed", "Show what could not be handled, and try it again", list, newFailedShowCommand(a), newFailedRedriveCommand(a), newFailedReleaseCommand(a))
	c.Long = "failed alone is the same as failed list."
	c.RunE = list.RunE
	return c
}

func newFailedListCommand(a *app) *cobra.Command {
	var r collector.FailedRequest
	c := &cobra.Command{
		Use:     "list",
		Short:   "Show the dead letters, grouped by cause",
		Example: "  parley failed list\n  parley failed list --address billing.v1.charge -o json",
		Args:    words(0, 0),
	}
	c.Flags().StringVar(&r.Address, "address", "", "only of this `ADDRESS`")
	c.Flags().StringVar(&r.Group, "group", "", "only of this `GROUP`")
	c.Flags().BoolVar(&r.All, "all", false, "also causes that have been redriven completely")
	c.RunE = a.on(a.within(lookLimit, func(ctx context.Context, s *session, _ []string) error {
		failed, err := listFailed(ctx, s, r)
		if err != nil {
			return err
		}
		return a.showFailed(failed)
	}))
	return c
}

func listFailed(ctx context.Context, s *session, r collector.FailedRequest) (collector.Failed, error) {
	return collected(ctx, s, func(peer string) (collector.Failed, error) { return collector.ListFailed(ctx, s.net.Calls, peer, r) })
}

func (a *app) showFailed(failed collector.Failed) error {
	if len(failed.Causes) == 0 && a.table() {
		a.note("no dead letters")
		return nil
	}
	now := time.Now()
	err := show(a, failed, failed.Causes, func(t *table) {
		t.row("N", "OPEN", "REDRIVEN", "ADDRESS", "RECEIVER", "FIRST", "LAST", "CAUSE")
		for _, c := range failed.Causes {
			t.row(c.Number, c.Open, c.Redriven, c.Address, receiverOf(c), ago(c.First, now), ago(c.Last, now), clip(c.Reason, 100))
		}
	})
	if a.table() && err == nil {
		a.note("look closer: parley failed show %d", failed.Causes[0].Number)
		a.note("try again: parley failed redrive %d", failed.Causes[0].Number)
	}
	return err
}

// receiverOf is who gave up: the service of a queue, or the group.
func receiverOf(c collector.Cause) string {
	if c.Group != c.Address {
		return c.Group
	}
	service, _, _ := strings.Cut(c.Address, ".")
	return service
}

func newFailedShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show N|ID",
		Short:   "Show a cause by its number, or the dead letters of a message with everything",
		Example: "  parley failed show 1\n  parley failed show 01981c7e-5d0f-7c3b-9a51-1d2f3a4b5c6d -o json",
		Args:    words(1, 1),
		RunE: a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
			if n, ok := causeNumber(args[0]); ok {
				return a.showCause(ctx, s, n)
			}
			return a.showLetters(ctx, s, args[0])
		})),
	}
}

// causeNumber is N of "N" or "#N".
func causeNumber(s string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "#"))
	return n, err == nil && n > 0
}

// causeIDs is how many ids of a cause are shown.
const causeIDs = 1000

func (a *app) showCause(ctx context.Context, s *session, n int) error {
	failed, err := listFailed(ctx, s, collector.FailedRequest{All: true, IDs: causeIDs})
	if err != nil {
		return err
	}
	for _, c := range failed.Causes {
		if c.Number != n {
			continue
		}
		now := time.Now()
		return showOne(a, c, func(t *table) {
			t.row("cause", fmt.Sprintf("#%d %s", c.Number, c.Reason))
			t.row("for example", c.Sample)
			t.row("address", c.Address)
			t.row("receiver", receiverOf(c))
			t.row("open", c.Open)
			t.row("redriven", c.Redriven)
			t.row("first", ago(c.First, now))
			t.row("last", ago(c.Last, now))
			for _, id := range c.IDs {
				t.row("id", id)
			}
		})
	}
	return hint(&parley.Error{Code: parley.NotFound, Message: fmt.Sprintf("no cause %d among the dead letters", n)}, "parley failed list --all")
}

func (a *app) showLetters(ctx context.Context, s *session, id string) error {
	shown, err := collected(ctx, s, func(peer string) (collector.Shown, error) { return collector.ShowFailed(ctx, s.net.Calls, peer, id) })
	if err != nil {
		return hint(err, "parley failed list")
	}
	return show(a, shown, shown.Letters, func(t *table) {
		for i, l := range shown.Letters {
			if i > 0 {
				t.row("")
			}
			drawLetter(t, l)
		}
	})
}

// drawLetter shows everything about a dead letter.
func drawLetter(t *table, l collector.Letter) {
	d := l.Dead
	t.row("id", d.ID)
	t.row("cause", fmt.Sprintf("#%d %s", l.Cause, d.Reason))
	switch {
	case d.Behind != "":
		t.row("behind", d.Behind+", which stopped their key; no handler got this one")
	case d.StopKey:
		t.row("stops", "its key: those behind it follow it, until it is redriven")
	}
	if d.Stack != "" {
		t.row("stack", d.Stack)
	}
	kind := "the retries are used up"
	if d.Permanent {
		kind = "permanent: retrying as it is would be useless"
	}
	t.row("attempts", fmt.Sprintf("%d, %s", d.Attempts, kind))
	t.row("address", fmt.Sprintf("%s (%s)", d.Address, or(d.Style, d.Pattern)))
	t.row("receiver", fmt.Sprintf("%s at %s", d.Receiver, or(d.Service, "?")))
	t.row("gave up", d.Last.Local().Format(time.DateTime))
	state := "open"
	if r := l.Redriven; r != nil {
		state = fmt.Sprintf("redriven %s by %s", r.At.Local().Format(time.DateTime), r.By)
	}
	t.row("state", state)
	for _, name := range sortedKeys(d.Attributes) {
		t.row("attribute", name+"="+d.Attributes[name])
	}
	text := string(d.Body)
	if !utf8.Valid(d.Body) {
		text = fmt.Sprintf("%d bytes, not text; -o json has them", len(d.Body))
	}
	t.row("body", text)
}
