package kafka

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestALeaseHoldsFromTheLastConfirmedHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lease
		if l.holds() {
			t.Error("the zero lease holds; want it not to")
		}
		sent := time.Now()
		time.Sleep(time.Second)
		l.confirm(sent)
		time.Sleep(Lease - time.Second - time.Nanosecond)
		if !l.holds() {
			t.Error("a lease does not hold just before it is over; want it to")
		}
		time.Sleep(time.Nanosecond)
		if l.holds() {
			t.Error("a lease holds although the last confirmed heartbeat was sent so long ago; want it to end")
		}
		l.confirm(time.Now())
		if l.end(); l.holds() {
			t.Error("a lease holds after its end; want it not to")
		}
	})
}

func TestAMemberEndsItsLanesWhenTheClusterKnowsItNoMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		member  string // which had sent the heartbeats
		answers []error
		ended   bool
		holds   bool
	}{
		{"confirmed", "m", []error{nil}, false, true},
		{"confirmed while the group rebalances", "m", []error{kerr.RebalanceInProgress}, false, true},
		{"unknown", "m", []error{nil, kerr.UnknownMemberID}, true, false},
		{"fenced", "m", []error{nil, kerr.FencedInstanceID}, true, false},
		{"a generation is over", "m", []error{nil, kerr.IllegalGeneration}, false, true},
		{"a generation is over, and we learn of none", "m", []error{nil, kerr.IllegalGeneration, kerr.IllegalGeneration}, true, false},
		{"confirmed after its end", "m", []error{kerr.UnknownMemberID, nil}, true, false},
		{"another member is unknown", "was", []error{kerr.UnknownMemberID, nil}, false, false},
		{"the coordinator is away", "m", []error{kerr.CoordinatorLoadInProgress}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := testReceiver()
			r.member, r.generation = "m", 3
			l := newLane(r, 0, 3)
			r.lanes = []*lane{l}
			for _, err := range c.answers {
				r.beaten(c.member, 3, err, time.Now())
			}
			if got := l.over.Load(); got != c.ended || r.lease.holds() != c.holds {
				t.Errorf("lane ended %v, lease holds %v; want %v, %v", got, r.lease.holds(), c.ended, c.holds)
			}
		})
	}
}

func TestAClientThatBecomesAnotherMemberIsReplaced(t *testing.T) {
	t.Parallel()
	r := testReceiver()
	if r.another("m") {
		t.Error("another = true for the first membership; want false")
	}
	r.member, r.generation = "m", 3
	l := newLane(r, 0, 3)
	r.lanes = []*lane{l}
	if r.another("m") || l.over.Load() {
		t.Error("another = true for the same member; want false, and its lanes as they were")
	}
	if !r.another("n") || !l.over.Load() || !r.renewing || r.generation >= 0 {
		t.Error("another member goes on with the lanes; want them ended without a commit, and another client")
	}
}

func TestNothingIsHandedOutWithoutALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := testReceiver()
		r.member, r.generation = "m", 3
		l := newLane(r, 0, 3)
		r.lanes = []*lane{l}
		l.add(records(0, 1))
		given := func() int {
			batch, _, _ := r.pick(nil)
			return len(batch)
		}
		if got := given(); got != 0 {
			t.Errorf("handed out %d before the first heartbeat was confirmed; want none", got)
		}
		r.beaten("m", 3, nil, time.Now())
		select {
		case <-r.wake:
		default:
			t.Error("a confirmed heartbeat does not wake the loop; want it to look again at what it may hand out")
		}
		if got := given(); got != 1 {
			t.Errorf("handed out %d with a lease; want 1", got)
		}
		time.Sleep(Lease) // as while the process is frozen
		if got := given(); got != 0 {
			t.Errorf("handed out %d after the lease; want none, as another instance may have them", got)
		}
	})
}
