package presence

import (
	"testing"
	"time"

	"github.com/parley-io/parley"
)

func TestARegistrationKeepsTheTimeOfItsFirstRecord(t *testing.T) {
	t.Parallel()
	g := make(registry)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := registration{Address: "shop.v1.order-placed", Group: "mail"}
	if !g.note(r, begin) {
		t.Error("the first record changed nothing")
	}
	if g.note(r, begin.Add(time.Hour)) { // as of two instances that register at once
		t.Error("the second record of the same registration changed something")
	}
	if got := g.view().all; len(got) != 1 || !got[0].Since.Equal(begin) {
		t.Errorf("registrations = %v, want one since %v", got, begin)
	}
}

// instance is one that says only who it is.
func instance(id string) parley.Instance { return parley.Instance{Service: "stock", ID: id} }

func TestABrokerClockThatStepsBackStopsNobodyFromVanishing(t *testing.T) {
	t.Parallel()
	r := roster{seen: make(map[name]*sighting)}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.advance(at)
	r.see(instance("dead"), nil)
	at = at.Add(-time.Hour)
	for range 2 {
		r.advance(at)
		at = at.Add(heartbeat)
	}
	if len(r.seen) != 1 {
		t.Error("it vanished with the step of the clock, want it there")
	}
	for range 2 {
		r.advance(at)
		at = at.Add(heartbeat)
	}
	if len(r.seen) != 0 {
		t.Errorf("it is there %v after the step, want it gone after %v", 3*heartbeat, gone)
	}
}
