package collector

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

var decide = transport.Channel{Address: "loans.v1.decide", Pattern: transport.Queue}

// engine is what becomes of operations in a test: their requests come by queue, and are refused while it is full.
type engine struct {
	w    *world
	full atomic.Bool
}

func (w *world) engine() *engine {
	g := &engine{w: w}
	w.declare(w.shop.Broker(), decide)
	w.consumeAs(decide, "loans", ledger.StyleOperation, func(_ context.Context, e *transport.Envelope) error {
		if g.full.Load() {
			return delivery.Permanent(errDown)
		}
		g.tell(ledger.Accepted, e.ID, "")
		g.tell(ledger.Received, e.ID, "")
		return nil
	})
	return g
}

// tell records what became of an operation.
func (g *engine) tell(kind ledger.Kind, id, reason string) {
	t := ledger.Transition{Kind: kind, Style: ledger.StyleOperation, ID: id, Address: decide.Address, Group: decide.Address, Reason: reason}
	if kind == ledger.Accepted {
		t.Expected = []string{decide.Address}
	} else {
		t.Attempt = 1
	}
	ledger.As(g.w.writer, "loans", "loans-1").Record(t, nil)
}

func TestARequestForAnOperationIsRedrivenOnceTheOperationHasBegunWhateverBecomesOfIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		g := w.engine()
		g.full.Store(true)
		for _, id := range []string{"op-1", "op-2"} {
			w.sendAs(decide, id, ledger.StyleOperation, decide.Address)
		}
		time.Sleep(time.Minute)
		f := w.failed(FailedRequest{})
		if f.Open != 2 || len(f.Causes) != 1 || f.Causes[0].Style != ledger.StyleOperation {
			t.Fatalf("requests that could not be handed over: got %+v; want 2 open ones of style operation", f)
		}
		g.full.Store(false)
		job := w.redrive(RedriveRequest{IDs: []string{"op-1", "op-2"}, By: "anna"})
		time.Sleep(time.Second)
		g.tell(ledger.Ended, "op-2", "account closed")
		time.Sleep(time.Second)
		done, err := FollowRedrive(w.ctx, w.shop.Caller(), w.peer, job.ID, 0)
		if err != nil || done.State != JobDone || done.Handled != 2 || done.Waiting != 0 {
			t.Errorf("job: got %+v, %v; want it done, both handled", done, err)
		}
		if got := states(w.follow("op-1", 0)); got != "loans.v1.decide:running/1" {
			t.Errorf("op-1, which runs: got %s; want loans.v1.decide:running/1", got)
		}
		trail := w.follow("op-2", 0)
		if r := trail.Hops[0].Receivers[0]; r.State != ledger.Unsuccessful || r.Redriven != 1 || r.Reason != "account closed" || !trail.Settled {
			t.Errorf("op-2, which failed: got %+v, gaps %v; want it failed, redriven once, settled", r, trail.Gaps)
		}
		if f := w.failed(FailedRequest{}); f.Open != 0 {
			t.Errorf("after the job: got %d dead letters; want none: an operation that failed is none", f.Open)
		}
	})
}

func TestFollowAnswersWhenAnOperationEndsAndStatsCountIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		g := w.engine()
		w.sendAs(decide, "op-1", ledger.StyleOperation, decide.Address)
		w.parts.Go(func() {
			time.Sleep(10 * time.Second)
			g.tell(ledger.Ended, "op-1", "account closed")
		})
		began := time.Now()
		trail := w.follow("op-1", time.Minute)
		if took := time.Since(began); !trail.Concluded() || took < 10*time.Second || took > 11*time.Second {
			t.Errorf("follow: got %s after %v; want it concluded after 10 s", states(trail), took)
		}
		stats, err := GetStats(w.ctx, w.shop.Caller(), w.peer)
		if err != nil {
			t.Fatal(err)
		}
		for i := range stats.Addresses {
			stats.Addresses[i].Last = time.Time{}
		}
		want := []ledger.Counts{{Address: decide.Address, Style: ledger.StyleOperation, Accepted: 1, Attempts: 1, Ended: 1}}
		if !slices.Equal(stats.Addresses, want) {
			t.Errorf("statistics: got %+v; want %+v: what the queue did is not counted as the operation's", stats.Addresses, want)
		}
	})
}

func TestARedrivenSignalIsHandledWhenItIsTakenOrTooLate(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	op := ledger.Transition{At: at, Style: ledger.StyleOperation, ID: "op-1", Address: decide.Address, Kind: ledger.Received, Attempt: 1}
	signal := ledger.Transition{At: at, Style: ledger.StyleSignal, ID: "g-1", Causation: "op-1", Correlation: "op-1", Address: decide.Address + "/signed", Kind: ledger.Accepted}
	taken, over := signal, op
	taken.Kind, over.Kind = ledger.Done, ledger.Ended
	for name, one := range map[string]struct {
		next []ledger.Transition
		want bool
	}{"nothing more": {nil, false}, "taken": {[]ledger.Transition{taken}, true}, "too late": {[]ledger.Transition{over}, true}} {
		c := New(nil)
		c.index.Add(ledger.Batch{Version: ledger.Format, Process: "p", Number: 1, At: at, Transitions: append([]ledger.Transition{op, signal}, one.next...)})
		l := &letter{identity: identity{id: "g-1", receiver: signal.Address}, cause: &cause{style: ledger.StyleSignal}}
		if got := c.handled(l); got != one.want {
			t.Errorf("%s: handled = %v; want %v", name, got, one.want)
		}
	}
}
