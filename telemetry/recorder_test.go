package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/ledger"
)

// notes keeps what it is told.
type notes struct {
	got       []ledger.Transition
	confirmed int
}

func (n *notes) Record(t ledger.Transition, confirmed func()) {
	n.got = append(n.got, t)
	if confirmed != nil {
		confirmed()
	}
}

func TestARecorderPassesEverythingOnAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := &notes{}
	rec := w.Recorder(n)
	for _, kind := range []ledger.Kind{ledger.Accepted, ledger.DeadLettered, ledger.Called, "later"} {
		rec.Record(ledger.Of(kind, "command", message("1", "a")), func() { n.confirmed++ })
	}
	for i, want := range []ledger.Kind{ledger.Accepted, ledger.DeadLettered, ledger.Called, "later"} {
		if got := n.got[i]; got.Kind != want || got.ID != "1" || !got.At.IsZero() {
			t.Errorf("transition %d passed on = %+v; want %s of message 1 without a time, as it came", i, got, want)
		}
	}
	if n.confirmed != 4 {
		t.Errorf("%d were confirmed; want 4, each once", n.confirmed)
	}
}

func TestTransitionsBetweenAttemptsAreSpansWithoutLength(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.Recorder(ledger.Discard)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, kind := range []ledger.Kind{ledger.Accepted, ledger.Received, ledger.Done, ledger.Failed, ledger.Filtered, ledger.Delayed,
		ledger.DeadLettered, ledger.Redriven, ledger.Expired} {
		e := message("1", "a")
		e.Trace = elsewhere
		tr := ledger.Of(kind, "event", e)
		tr.At, tr.Group, tr.By, tr.Reason = at, "mail", "anna", "why"
		rec.Record(tr, nil)
	}
	var names []string
	for _, s := range w.ended() {
		names = append(names, s.Name())
		if !s.StartTime().Equal(at) || !s.EndTime().Equal(at) {
			t.Errorf("span %s lasts from %v to %v; want %v for both", s.Name(), s.StartTime(), s.EndTime(), at)
		}
		if !strings.Contains(elsewhere, s.Parent().SpanID().String()) {
			t.Errorf("the parent of %s = %v; want the span that sent the message", s.Name(), s.Parent().SpanID())
		}
		if s.Name() == "redrive a" {
			if len(s.Links()) != 1 || !strings.Contains(attributes(s), "parley.by=anna\n") {
				t.Errorf("redrive has %d links and attributes\n%s\nwant 1 link and who did it", len(s.Links()), attributes(s))
			}
		}
	}
	if got, want := strings.Join(names, ", "), "delay a, dead-letter a, redrive a, expire a"; got != want {
		t.Errorf("spans = %s; want %s", got, want)
	}
}

func TestOperationsAndStepsAreCountedAsTheLedgerRecordsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.Recorder(ledger.Discard)
	for _, c := range []struct {
		style, address string
		kind           ledger.Kind
	}{
		{ledger.StyleOperation, "loans.v1.decide", ledger.Accepted}, {ledger.StyleOperation, "loans.v1.decide", ledger.Accepted},
		{ledger.StyleOperation, "loans.v1.decide", ledger.Done}, {ledger.StyleOperation, "loans.v1.decide", ledger.Ended},
		{ledger.StyleStep, "loans.v1.decide/payout", ledger.Delayed}, {ledger.StyleStep, "loans.v1.decide/payout", ledger.Done},
		{ledger.StyleCall, "billing.v1.charge", ledger.Answered}, {ledger.StyleOperation, "loans.v1.decide", "of a later version"},
	} {
		rec.Record(ledger.Of(c.kind, c.style, message("1", c.address)), nil)
	}
	wantText(t, "transitions", w.printed("parley."), `
parley.transitions{parley.address=loans.v1.decide parley.style=operation parley.transition=_OTHER} {transition} 1
parley.transitions{parley.address=loans.v1.decide parley.style=operation parley.transition=accepted} {transition} 2
parley.transitions{parley.address=loans.v1.decide parley.style=operation parley.transition=done} {transition} 1
parley.transitions{parley.address=loans.v1.decide parley.style=operation parley.transition=ended} {transition} 1
parley.transitions{parley.address=loans.v1.decide/payout parley.style=step parley.transition=delayed} {transition} 1
parley.transitions{parley.address=loans.v1.decide/payout parley.style=step parley.transition=done} {transition} 1
`)
	if n := len(w.ended()); n != 0 {
		t.Errorf("%d spans; want 0: the attempts of steps have their own", n)
	}
}

func TestBreakersAreOneSeriesForEachServiceAndState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	states := []BreakerState{{"cards", "open"}, {"cards", "closed"}, {"cards", "closed"}, {"mail", "half-open"}}
	if err := w.Breakers(func() []BreakerState { return states }); err != nil {
		t.Fatal(err)
	}
	wantText(t, "breakers", w.printed("parley.breaker"), `
parley.breaker.state{parley.breaker.state=closed service.peer.name=cards} {breaker} 2
parley.breaker.state{parley.breaker.state=closed service.peer.name=mail} {breaker} 0
parley.breaker.state{parley.breaker.state=half-open service.peer.name=cards} {breaker} 0
parley.breaker.state{parley.breaker.state=half-open service.peer.name=mail} {breaker} 1
parley.breaker.state{parley.breaker.state=open service.peer.name=cards} {breaker} 1
parley.breaker.state{parley.breaker.state=open service.peer.name=mail} {breaker} 0
`)
	states = states[:0]
	wantText(t, "breakers after the clients are gone", w.printed("parley.breaker"), "")
}

func TestASubscriptionShowsWhetherItIsPausedAndItsStoppedKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.Subscriptions(func() []SubscriptionState {
		return []SubscriptionState{{"bank.v1.pay", "bank.v1.pay", true, 0}, {"shop.v1.placed", "mail", false, 2}}
	})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "subscriptions", w.printed("parley.subscription"), `
parley.subscription.paused{parley.address=bank.v1.pay parley.receiver=bank.v1.pay} 1 1
parley.subscription.paused{parley.address=shop.v1.placed parley.receiver=mail} 1 0
parley.subscription.stopped_keys{parley.address=bank.v1.pay parley.receiver=bank.v1.pay} {key} 0
parley.subscription.stopped_keys{parley.address=shop.v1.placed parley.receiver=mail} {key} 2
`)
}
