package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/internal/demo"
	"github.com/parley-io/parley/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One of the few tests with real time: processes can't have another one.
func TestNothingIsLostWhenProcessesAreKilled(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "parley")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/parley").CombinedOutput(); err != nil {
		t.Fatalf("build parley: %v\n%s", err, out)
	}
	rounds := 2
	if testing.Short() {
		rounds = 1
	}
	var story strings.Builder
	if err := crash(t.Context(), options{rounds: rounds, parley: binary, seed: 1, out: &story}); err != nil {
		t.Errorf("crash: %v\n%s", err, &story)
	}
	if told := strings.Count(story.String(), "was there again after"); told != rounds {
		t.Errorf("%d processes were killed, want %d:\n%s", told, rounds, &story)
	}
}

func TestThePlanComesFromTheSeedAndKillsTheBrokerOften(t *testing.T) {
	t.Parallel()
	o := options{rounds: 10, seed: 3}
	plan := newPlan(o, time.Minute)
	if again := newPlan(o, time.Minute); !slices.Equal(plan, again) {
		t.Errorf("the same seed gives %v and %v", plan, again)
	}
	brokers, before := 0, time.Duration(-1)
	for _, r := range plan {
		if r.victim == broker {
			brokers++
		}
		if r.at < before || r.at >= time.Minute {
			t.Errorf("a kill at %v, want them in order within a minute: %v", r.at, plan)
		}
		before = r.at
	}
	if brokers < 3 {
		t.Errorf("the broker is killed %d times, want 3 or more: %v", brokers, plan)
	}
}

func TestATrailAndTheOutsideLogsAreCompared(t *testing.T) {
	t.Parallel()
	const address, id = "billing.v1.charge", "o1-charge"
	hop := func(state ledger.State) ledger.Hop {
		return ledger.Hop{ID: id, Address: address, Accepted: time.Unix(1, 0), Receivers: []ledger.Receiver{{Group: address, State: state}}}
	}
	unaccepted := hop(ledger.Handled)
	unaccepted.Accepted = time.Time{}
	for _, x := range []struct {
		hops    []ledger.Hop
		handled int
		want    string // a part of it
	}{
		{[]ledger.Hop{hop(ledger.Handled)}, 1, ""},
		{[]ledger.Hop{hop(ledger.DeadLetter)}, 0, ""},
		{[]ledger.Hop{hop(ledger.Handled)}, 0, "is done in it"},
		{[]ledger.Hop{hop(ledger.Running)}, 1, "is running in it"},
		{[]ledger.Hop{unaccepted}, 1, "acceptance"},
		{[]ledger.Hop{{ID: id, Accepted: time.Unix(1, 0)}}, 1, "billing.v1.charge is not in it"},
		{nil, 1, "the message is not in it"},
	} {
		c := checker{outside: &demo.Outside{Handled: map[demo.Handled]int{{ID: id}: x.handled}}}
		got := c.differs(parley.Trail{Hops: x.hops}, demo.Confirmed{Style: parley.StyleCommand, Address: address, ID: id})
		if (got == "") != (x.want == "") || !strings.Contains(got, x.want) {
			t.Errorf("hops %+v, handled %d: differs = %q, want %q", x.hops, x.handled, got, x.want)
		}
	}
}

func TestABinaryThatDoesNotExistIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "parley")
	err := crash(context.Background(), options{rounds: 1, parley: missing, out: &strings.Builder{}})
	if err == nil || !strings.Contains(fmt.Sprint(err), missing) {
		t.Errorf("crash = %v, want an error that names %s", err, missing)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it exists")
	}
}
