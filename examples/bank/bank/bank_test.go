package bank

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/operation"
	journal "github.com/parley-io/parley/store/mem"
	"github.com/parley-io/parley/transport/mem"

	"github.com/parley-io/parley/examples/bank/loans"
	"github.com/parley-io/parley/examples/bank/treasury"
	"github.com/parley-io/parley/examples/outside"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every application ends as it must: granted, also after a signature, not signed in time, rejected, and, where the partner
// bank refuses, with its payout taken back.
func TestEveryApplicationEndsAsExpected(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict=%v", strict), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t)
				b.start("town", Options{Strict: strict}, all...)
				ids := b.applyAll()
				b.await(ids)
				b.check(len(ids))
			})
		})
	}
}

// The loans service is killed at some moment, with all applications somewhere on their way, and comes again after two
// seconds. Every application ends as if nothing had happened, and no step is done again whose result was kept.
func TestEveryApplicationSurvivesAKillOfItsOwner(t *testing.T) {
	for _, at := range []time.Duration{0, 50 * time.Millisecond, 130 * time.Millisecond, time.Second, 2100 * time.Millisecond, 3050 * time.Millisecond} {
		t.Run(at.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t)
				b.start("town", Options{}, slices.DeleteFunc(Services(), func(s string) bool { return s == "loans" || s == "applicants" })...)
				kill := b.loans()
				ids := b.applyAll()
				time.Sleep(at)
				kill()
				time.Sleep(2 * time.Second)
				b.loans()
				b.await(ids)
				b.check(len(ids))
			})
		})
	}
}

// The treasury kills the one who asked while it pays. So nobody knows of the payout; it is asked for again, as the same
// request, and done once.
func TestAPayoutThatNobodyHasHeardOfIsAskedForAgainUnderTheSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t)
		b.start("town", Options{}, slices.DeleteFunc(Services(), func(s string) bool {
			return s == "loans" || s == "applicants" || s == "treasury"
		})...)
		kill := b.loans()
		var asked []parley.MessageID
		b.serve("treasury", func(client *parley.Client, log *outside.Log) []parley.Registration {
			usual := treasuryService(client, log)
			return []parley.Registration{usual[1], treasury.Pay.Handle(func(ctx context.Context, p treasury.Payout) (treasury.Receipt, error) {
				m, _ := parley.MessageFrom(ctx)
				if asked = append(asked, m.ID); len(asked) == 1 {
					kill()
				}
				return treasury.Receipt{Reference: string(p.LoanID)}, nil
			})}
		})
		id := parley.MessageID("loan-1")
		c := Cases()[0]
		if err := apply(t.Context(), b.client, b.log, id, c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(asked) != 1 {
			t.Fatalf("the treasury was asked %d times while the loans service was away, want once", len(asked))
		}
		b.loans()
		b.await(map[parley.MessageID]Case{id: c})
		if len(asked) != 2 || asked[0] != asked[1] {
			t.Errorf("the treasury was asked by %v, want twice under the same id", asked)
		}
		b.check(1)
	})
}

// The owner of the decisions is away: whoever applies gets an id at once, and the clerk's signature waits too.
func TestApplicantsNeedNotWaitForTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t)
		b.start("town", Options{}, slices.DeleteFunc(Services(), func(s string) bool { return s == "loans" || s == "applicants" })...)
		b.loans()() // it has been there once, and is not
		began := time.Now()
		ids := b.applyAll()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%d applications took %v, want no longer than it takes to see that nobody is there", len(ids), took)
		}
		time.Sleep(5 * time.Minute)
		b.loans()
		b.await(ids)
		b.check(len(ids))
	})
}

func TestWhoIsRejectedLearnsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t)
		b.start("town", Options{}, all...)
		_, err := loans.Decide.Call(t.Context(), b.client, loans.Application{Applicant: "barbara", Cents: small, Branch: "north", HoldSeconds: days})
		why, _ := parley.DetailsOf[loans.Rejection](err)
		if want := (loans.Rejection{Reason: "the score is too low", Score: 410}); !errors.Is(err, loans.ErrRejected) || why != want {
			t.Errorf("Decide = %v with %+v, want %v with %+v", err, why, loans.ErrRejected, want)
		}
		loan, err := loans.Decide.Call(t.Context(), b.client, loans.Application{Applicant: "ada", Cents: small, Branch: "north", HoldSeconds: days})
		if err != nil || loan.Lender == "" || loan.Lender == "dune" || !strings.HasPrefix(loan.Paid, "paid-") || !strings.HasPrefix(loan.Booked, "booked-") {
			t.Errorf("Decide = %+v, %v; want a loan by somebody but dune, who is too slow", loan, err)
		}
	})
}

func TestApplicantsComeAtTheirPaceUntilTheirTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t)
		o := Options{}
		o.Applications.PerSecond, o.Applications.For = 2, 10500*time.Millisecond
		b.start("town", o, Services()...)
		time.Sleep(time.Minute)
		b.check(21)
	})
}

func TestAnUnknownServiceIsRefused(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), nil, []string{"loans", "casino"}, Options{})
	if err == nil || !strings.Contains(err.Error(), "casino") || !strings.Contains(err.Error(), "treasury") {
		t.Errorf("Run = %v, want an error that names casino and lists what there is", err)
	}
}

// all are the services that one process can be: those without people.
var all = slices.DeleteFunc(Services(), func(s string) bool { return s == "applicants" })

// world is a bank in virtual time: one broker, and one journal, which survive the processes.
type world struct {
	t       *testing.T
	fabric  *mem.Fabric
	journal *journal.Database
	dir     string // of the outside logs
	client  *parley.Client
	log     *outside.Log // of who applies
}

func open(t *testing.T) *world {
	w := &world{t: t, fabric: mem.New(), journal: journal.New(), dir: t.TempDir()}
	office := w.join(w.fabric.Process("office"))
	var err error
	if w.client, err = parley.NewClient("office", office); err != nil {
		t.Fatal(err)
	}
	if w.log, err = outside.Open(w.dir, "office"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.log.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// join is the network of a process.
func (w *world) join(p *mem.Process) *parley.Network {
	net, err := network.Open(w.t.Context(), "mem://", network.WithProcess(p), network.WithJournal(
		func(ctx context.Context, _ string) (operation.Journal, error) { // only one service has operations
			j, err := w.journal.Open(ctx)
			return mortal{j, p}, err
		},
	))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := net.Close(context.Background()); err != nil && !dead(p) {
			w.t.Error(err)
		}
	})
	return net
}

// mortal is a journal as a process has it: who is dead writes nothing.
type mortal struct {
	operation.Journal
	p *mem.Process
}

func (m mortal) Commit(ctx context.Context, lease operation.Lease, batch []operation.Change) ([]operation.Outcome, error) {
	if dead(m.p) {
		return nil, operation.ErrFenced
	}
	return m.Journal.Commit(ctx, lease, batch)
}

// start runs services in one process until the end of the test.
func (w *world) start(process string, o Options, names ...string) {
	p := w.fabric.Process(process)
	o.Journal = w.dir
	net := w.join(p)
	w.run(p, func(ctx context.Context) error { return Run(ctx, net, names, o) })
	synctest.Wait()
}

// loans runs the loans service in a process of its own, which kill ends as kill -9 does.
func (w *world) loans() (kill func()) { return w.serve("loans", loansService) }

// serve runs one service in a process of its own.
func (w *world) serve(name string, handles func(*parley.Client, *outside.Log) []parley.Registration) (kill func()) {
	p := w.fabric.Process(name)
	log, err := outside.Open(w.dir, name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = log.Close() })
	client, err := parley.NewClient(name, w.join(p), parley.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		w.t.Fatal(err)
	}
	service, err := parley.NewService(client, handles(client, log)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.run(p, service.Run)
	<-service.Ready()
	return func() {
		p.Kill()
		_ = log.Close() // after the journal: what is kept is noted
	}
}

// run runs f until the end of the test, and minds its error unless its process was killed.
func (w *world) run(p *mem.Process, f func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !dead(p) {
			w.t.Error(err)
		}
	})
}

func dead(p *mem.Process) bool {
	select {
	case <-p.Dead():
		return true
	default:
		return false
	}
}

// applyAll makes every application that there is.
func (w *world) applyAll() map[parley.MessageID]Case {
	ids := make(map[parley.MessageID]Case)
	for i, c := range Cases() {
		id := parley.MessageID(fmt.Sprintf("loan-%d", i+1))
		if err := apply(w.t.Context(), w.client, w.log, id, c); err != nil {
			w.t.Fatalf("application %d: %v", i+1, err)
		}
		ids[id] = c
	}
	return ids
}

// await waits for the ends of applications, as Parley tells them.
func (w *world) await(ids map[parley.MessageID]Case) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 15*time.Minute)
	defer cancel()
	for id, c := range ids {
		x := loans.Decide.Execution(id)
		_, err := x.Wait(ctx, w.client)
		if got := outside.Outcome(err); got != c.Outcome {
			status, _ := x.Status(ctx, w.client)
			w.t.Errorf("%s of %s ended with %s (%v), want %s: %+v", id, c.Applicant, got, err, c.Outcome, status)
		}
	}
}

// check compares the outside logs with what must be in them: of so many operations, which are all over.
func (w *world) check(operations int) {
	time.Sleep(time.Minute) // for letters and events
	story, err := outside.Read(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	started := 0
	for _, o := range story.Operations {
		if o.Started {
			started++
		}
		for _, p := range o.Problems(Stages()) {
			w.t.Errorf("%s; its steps: %+v", p, o.Steps)
		}
	}
	if started != operations {
		w.t.Errorf("%d operations were started, want %d", started, operations)
	}
	if lost := story.Lost(Groups); len(lost) > 0 {
		w.t.Errorf("confirmed and not handled: %v", lost)
	}
	told := make(map[string]int)
	for _, m := range story.Confirmed {
		told[m.Address]++
	}
	if letters, events := told["letters.v1.send-letter"], told["loans.v1.decided"]; letters != operations || events != operations {
		w.t.Errorf("%d letters and %d events of %d operations, want one of each", letters, events, operations)
	}
}
