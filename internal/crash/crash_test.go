package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/network"

	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/outside"
	"github.com/parley-io/parley/internal/demo"
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
		c := checker{logs: &demo.Outside{Story: &outside.Story{Handled: map[outside.Receipt]int{{ID: id}: x.handled}}}}
		got := c.differs(parley.Trail{Hops: x.hops}, outside.Message{Style: parley.StyleCommand, Address: address, ID: id})
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

func TestTheOutcomeOfAWaitIsComparedWithWhatTheRequestImplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := judge(t)
		for _, x := range []struct {
			applicant, expected string
			want                string // a part of the error; "" = none
		}{
			{"ada", outside.OK, ""},
			{"tony", loans.ErrRejected.Name, ""},
			{"ada", loans.ErrRejected.Name, "which is ok; want loans.v1.rejected"},
			{"tony", outside.OK, "which is loans.v1.rejected; want ok"},
			{"slow", outside.OK, "which is deadline-exceeded; want ok"},
		} {
			loan, err := loans.Decide.Start(t.Context(), client, loans.Application{Applicant: x.applicant, Cents: 1, Branch: "west", HoldSeconds: 1})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), awaitLimit)
			err = waitFor(ctx, client, &outside.Operation{ID: loan.ID, Address: loans.Decide.Address(), Expected: x.expected})
			cancel()
			if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
				t.Errorf("waitFor the loan of %s = %v, want %q", x.applicant, err, x.want)
			}
		}
		if err := waitFor(t.Context(), client, &outside.Operation{ID: "x", Address: "shoes.v1.mend"}); err == nil {
			t.Error("waitFor an operation that nobody knows = nil, want an error")
		}
	})
}

// judge is a client beside an owner of loans who rejects tony and thinks too long about slow.
func judge(t *testing.T) *parley.Client {
	t.Helper()
	net, err := network.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	client, err := parley.NewClient("loans", net)
	if err != nil {
		t.Fatal(err)
	}
	service, err := parley.NewService(client, loans.Decide.Handle(1, func(ctx context.Context, a loans.Application) (loans.Loan, error) {
		switch a.Applicant {
		case "tony":
			return loans.Loan{}, loans.ErrRejected
		case "slow":
			return loans.Loan{}, parley.Sleep(ctx, time.Hour)
		}
		return loans.Loan{}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, net.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	<-service.Ready()
	return client
}

func TestEveryThirdRoundIsForAnOwnerOfOperations(t *testing.T) {
	t.Parallel()
	plan := newPlan(options{rounds: 30, seed: 5}, time.Minute)
	victims := map[bool]int{}
	for _, r := range plan {
		victims[slices.Contains(owners(), r.victim)]++
	}
	if victims[true] != 10 {
		t.Errorf("owners are killed %d times of 30, want 10: %v", victims[true], plan)
	}
}
