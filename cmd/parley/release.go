package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger/collector"
)

func newFailedReleaseCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "release ID",
		Short: "Let a stopped key go on without the dead letters that stop it",
		Long: `release lets the key of a dead letter go on, where its receiver stops keys (StopKey): what comes from now on is
handled. The dead letters of the key stay, and a redrive of them comes after what was handled meanwhile: use it when
nobody will ever handle them, else redrive one of them, which brings all of the key back in their order. ID is the message
that stopped the key, or one behind it; if several receivers have given it up, the key goes on for all of them.`,
		Example: "  parley failed release 01981c7e-5d0f-7c3b-9a51-1d2f3a4b5c6d -y",
		Args:    words(1, 1),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	c.RunE = a.on(a.within(lookLimit, func(ctx context.Context, s *session, args []string) error {
		return a.release(ctx, s, args[0], yes)
	}))
	return c
}

// stopped is a key that a receiver does not handle.
type stopped struct {
	Address  string `json:"address"`
	Receiver string `json:"receiver"`
	Key      string `json:"key"`
}

func (a *app) release(ctx context.Context, s *session, id string, yes bool) error {
	shown, err := collected(ctx, s, func(peer string) (collector.Shown, error) { return collector.ShowFailed(ctx, s.net.Calls, peer, id) })
	if err != nil {
		return hint(err, "parley failed list")
	}
	var keys []stopped
	for _, l := range shown.Letters {
		e, err := l.Dead.Original()
		if err != nil {
			return err
		}
		if k := (stopped{l.Dead.Address, l.Dead.Receiver, e.Key}); (l.Dead.StopKey || l.Dead.Behind != "") && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return &failure{exit: exitConflict, try: "parley failed show " + id, err: fmt.Errorf("%s has stopped no key: what came after it was handled", id)}
	}
	if err := a.confirm(fmt.Sprintf("let the key %q go on without its dead letters", keys[0].Key), yes); err != nil {
		return err
	}
	for _, k := range keys {
		if err := delivery.ReleaseKey(ctx, s.net.Messages, k.Address, k.Receiver, k.Key); err != nil {
			return err
		}
	}
	return show(a, keys, keys, func(t *table) {
		for _, k := range keys {
			t.row(k.Address, k.Receiver, k.Key, "goes on")
		}
	})
}
