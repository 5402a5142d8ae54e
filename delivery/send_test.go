package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

// script answers the tries of each message in turn; the last answer stays.
type script struct {
	transport.Broker
	answers map[string][]error
	rounds  []string // the IDs and copies of each Send
}

func (s *script) Send(_ context.Context, batch []*transport.Envelope) []transport.Receipt {
	var ids []string
	receipts := make([]transport.Receipt, len(batch))
	for i, e := range batch {
		ids = append(ids, e.ID+e.Copy)
		left := s.answers[e.ID]
		receipts[i].Err = left[0]
		if len(left) > 1 {
			s.answers[e.ID] = left[1:]
		}
	}
	s.rounds = append(s.rounds, strings.Join(ids, " "))
	return receipts
}

func batchOf(ids ...string) (batch []*transport.Envelope) {
	for _, id := range ids {
		batch = append(batch, &transport.Envelope{ID: id, Copy: "a4", Address: queue.Address})
	}
	return batch
}

func TestSendRepeatsOnlyWhatIsUnfinishedUntilEachOutcomeIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notSent, refused, lost := fmt.Errorf("away: %w", transport.ErrNotSent), fmt.Errorf("large: %w", transport.ErrRefused), errors.New("connection lost")
		s := &script{answers: map[string][]error{"ok": {nil}, "down": {notSent, notSent, nil}, "bad": {refused}, "lost": {lost, nil}, "closed": {transport.ErrClosed}}}
		got := delivery.Send(context.Background(), s, batchOf("ok", "down", "bad", "lost", "closed"))
		if want := []string{"oka4 downa4 bada4 losta4 closeda4", "downa4 losta4", "downa4"}; !slices.Equal(s.rounds, want) {
			t.Errorf("sent %q; want %q", s.rounds, want)
		}
		if got[0].Err != nil || got[1].Err != nil || !errors.Is(got[2].Err, transport.ErrRefused) || got[3].Err != nil || !errors.Is(got[4].Err, transport.ErrClosed) {
			t.Errorf("receipts = %v; want nil, nil, refused, nil, closed", got)
		}
	})
}

func TestSendBacksOffAndGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("connection lost")
		s := &script{answers: map[string][]error{"down": {transport.ErrNotSent}, "lost": {lost, transport.ErrNotSent}, "worse": {lost, transport.ErrRefused}}}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		began := time.Now()
		got := delivery.Send(ctx, s, batchOf("down", "lost", "worse"))
		if n := len(s.rounds); time.Since(began) != time.Minute || n < 70 || n > 250 {
			t.Errorf("%d tries in %v; want about 120 in a minute: half a second between them on average", n, time.Since(began))
		}
		if err := got[0].Err; !errors.Is(err, transport.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("never sent: %v; want not sent, deadline exceeded", err)
		}
		for _, r := range got[1:] {
			if r.Err == nil || errors.Is(r.Err, transport.ErrNotSent) || errors.Is(r.Err, transport.ErrRefused) {
				t.Errorf("perhaps stored at first: %v; want an unknown outcome", r.Err)
			}
		}
	})
}

func TestSendWithADoneContextSendsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := &script{}
	if got := delivery.Send(ctx, s, batchOf("m")); len(s.rounds) != 0 || !errors.Is(got[0].Err, transport.ErrNotSent) || !errors.Is(got[0].Err, context.Canceled) {
		t.Errorf("sent %q, receipt %v; want nothing, not sent, canceled", s.rounds, got[0].Err)
	}
}

// declarer answers Declare.
type declarer struct {
	transport.Broker
	answers []error
}

func (d *declarer) Declare(context.Context, []transport.Channel) error {
	err := d.answers[0]
	if len(d.answers) > 1 {
		d.answers = d.answers[1:]
	}
	return err
}

func TestDeclareRepeatsWhileTheBrokerCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := delivery.Declare(context.Background(), &declarer{answers: []error{transport.ErrNotSent, transport.ErrNotSent, nil}}, nil); err != nil {
			t.Errorf("Declare = %v; want nil at the third try", err)
		}
		if err := delivery.Declare(context.Background(), &declarer{answers: []error{errOut, nil}}, nil); !errors.Is(err, errOut) {
			t.Errorf("Declare = %v; want what is no matter of reaching it at once", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := delivery.Declare(ctx, &declarer{answers: []error{transport.ErrNotSent}}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Declare = %v; want that the time is over", err)
		}
	})
}
