package presence

import (
	"math/rand/v2"
	"strconv"
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

func TestAClockThatStepsBackStopsNobodyFromVanishing(t *testing.T) {
	t.Parallel()
	r := newRoster()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.advance("observer", at)
	r.see(instance("dead"), nil)
	at = at.Add(-time.Hour)
	for range 3 {
		r.advance("observer", at)
		at = at.Add(heartbeat)
	}
	if len(r.seen) != 1 {
		t.Error("it vanished with the step of the clock, want it there")
	}
	r.advance("observer", at)
	if len(r.seen) != 0 {
		t.Errorf("it is there %v after the step, want it gone after %v", 3*heartbeat, gone)
	}
}

// Each of a hundred processes has a clock that is wrong by up to a minute, as on a broker that has no clock of its own.
func TestClocksThatDisagreeMakeNobodyVanishAndKeepNobody(t *testing.T) {
	t.Parallel()
	const processes = 100
	random := rand.New(rand.NewPCG(1, 2))
	r := newRoster()
	var wrong [processes]time.Duration
	for i := range wrong {
		wrong[i] = time.Duration(random.Int64N(int64(2*time.Minute))) - time.Minute
	}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	beat := func(n, i int) {
		late := time.Duration(random.Int64N(int64(50 * time.Millisecond)))
		r.advance(strconv.Itoa(i), began.Add(time.Duration(n)*heartbeat+wrong[i]+late))
		r.see(instance(strconv.Itoa(i)), nil)
	}
	for n := range 1000 {
		for i := range processes {
			beat(n, i)
		}
		if len(r.seen) != processes {
			t.Fatalf("%d of %d are there after %v, want all", len(r.seen), processes, time.Duration(n)*heartbeat)
		}
	}
	for n := range 4 { // one of them has died
		for i := 1; i < processes; i++ {
			beat(1000+n, i)
		}
	}
	if _, there := r.seen[nameOf(instance("0"))]; there || len(r.seen) != processes-1 {
		t.Errorf("%d are there 8 s after one of %d died, it among them: %v; want it gone", len(r.seen), processes, there)
	}
}
