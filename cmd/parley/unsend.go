package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// sentMessage is the command or event of an id, as its trail shows it. ok is false where the trail knows none, or
// nobody collects trails.
func sentMessage(ctx context.Context, s *session, id string) (h ledger.Hop, ok bool) {
	trail, err := s.client.Follow(ctx, parley.MessageID(id))
	if err != nil {
		return h, false
	}
	i := slices.IndexFunc(trail.Hops, func(h ledger.Hop) bool {
		return h.ID == id && (h.Style == ledger.StyleCommand || h.Style == ledger.StyleEvent)
	})
	if i < 0 {
		return h, false
	}
	return trail.Hops[i], true
}

// unsend takes a message that waits for its time out of the broker, and has its trail say so.
func (a *app) unsend(ctx context.Context, s *session, h ledger.Hop, reason string) error {
	for _, r := range h.Receivers {
		if wasCanceled(&h) {
			return &failure{exit: exitConflict, try: "parley follow " + h.ID, err: fmt.Errorf("%s to %s was %s already", h.ID, h.Address, r.Reason)}
		}
		if r.State != ledger.Waiting || len(r.Attempts) > 0 {
			return &failure{exit: exitConflict, try: "parley follow " + h.ID,
				err: fmt.Errorf("%s to %s has begun at %s: only a message that waits for its time (--not-before) can be canceled", h.ID, h.Address, r.Group)}
		}
	}
	err := s.net.Operator.CancelDelayed(ctx, transport.Channel{Address: h.Address}, h.ID)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return hint(err, "parley follow %s", h.ID)
	case errors.Is(err, transport.ErrNotFound):
		return &failure{exit: exitConflict, try: "parley follow " + h.ID,
			err: fmt.Errorf("%s to %s does not wait for its time at the broker: it is due, and only its receivers can say what becomes of it", h.ID, h.Address)}
	case err != nil:
		return err
	}
	who := "canceled by " + or(os.Getenv("USER"), source)
	if reason != "" {
		who += ": " + reason
	}
	if err := record(ctx, s, h, who); err != nil {
		return err
	}
	return showOne(a, told{ID: parley.MessageID(h.ID), Address: h.Address, Status: operation.Canceled}, func(t *table) {
		t.row(h.ID, "canceled: nobody gets it")
	})
}

// wasCanceled reports whether h is a message that was taken out before its time: nothing else ends a message so.
func wasCanceled(h *ledger.Hop) bool {
	return (h.Style == ledger.StyleCommand || h.Style == ledger.StyleEvent) &&
		slices.ContainsFunc(h.Receivers, func(r ledger.Receiver) bool { return r.State == ledger.Unsuccessful })
}

// record has the trail of a message say, for each receiver, that it is over.
func record(ctx context.Context, s *session, h ledger.Hop, reason string) error {
	confirmed := make(chan struct{}, len(h.Receivers))
	recorder := ledger.As(s.net.Recorder, source, s.client.Instance())
	for _, r := range h.Receivers {
		recorder.Record(ledger.Transition{
			Kind: ledger.Ended, ID: h.ID, Address: h.Address, Style: h.Style, Key: h.Key, Source: h.Source,
			Correlation: h.Correlation, Causation: h.Causation, Group: r.Group, Reason: reason,
		}, func() { confirmed <- struct{}{} })
	}
	for range h.Receivers {
		select {
		case <-confirmed:
		case <-ctx.Done():
			return fmt.Errorf("%s is canceled, but its trail does not say so: %w", h.ID, ctx.Err())
		}
	}
	return nil
}
