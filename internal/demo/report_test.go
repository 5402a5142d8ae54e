package demo

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/outside"
)

// good is a report with nothing to complain about.
func good() Report {
	return Report{
		Calls: Calls{OK: 9, Failed: 1}, Commands: Commands{Sent: 4, Handled: 4, DeadLettered: 2, Redriven: 2},
		Events: Events{Published: 2, Expected: 6, Handled: 6}, Breaker: Breaker{Opened: 1, Closed: 1}, FirstMessageMS: 7,
		Operations: Operations{Started: 5, Done: 3, Failed: 2, FailedForBusiness: 2}, queued: 1,
	}
}

func TestEveryConditionOfAGoodStoryIsCheckedByItself(t *testing.T) {
	t.Parallel()
	if broken := good().Broken(); len(broken) > 0 {
		t.Fatalf("Broken of a good report = %q, want none", broken)
	}
	for want, spoil := range map[string]func(*Report){
		"lost = 1":                        func(r *Report) { r.Lost = 1 },
		"operations: 2 done and 2 failed": func(r *Report) { r.Operations.Done-- },
		"operations: 1 failed for":        func(r *Report) { r.Operations.FailedForBusiness-- },
		"operation x: it ended badly":     func(r *Report) { r.wrong = []string{"operation x: it ended badly"} },
		"no operation was done":           func(r *Report) { r.Operations = Operations{} },
		"no operation was asked for":      func(r *Report) { r.queued = 0 },
		"commands: 3 handled":             func(r *Report) { r.Commands.Handled-- },
		"events: 5 handled":               func(r *Report) { r.Events.Handled-- },
		"dead letters: 1 redriven":        func(r *Report) { r.Commands.Redriven-- },
		"no message became":               func(r *Report) { r.Commands.DeadLettered, r.Commands.Redriven = 0, 0 },
		"no call succeeded":               func(r *Report) { r.Calls.OK = 0 },
		"no command was sent":             func(r *Report) { r.Commands.Sent, r.Commands.Handled = 0, 0 },
		"no event was expected":           func(r *Report) { r.Events = Events{} },
		"no breaker opened":               func(r *Report) { r.Breaker.Opened = 0 },
		"no breaker closed":               func(r *Report) { r.Breaker.Closed = 0 },
	} {
		r := good()
		spoil(&r)
		if broken := r.Broken(); len(broken) != 1 || !strings.HasPrefix(broken[0], want) {
			t.Errorf("Broken = %q, want one that begins with %q", broken, want)
		}
	}
}

func TestAStoryThatWasToldToEndEarlyIsJudgedByWhatWasLostAlone(t *testing.T) {
	t.Parallel()
	r := Report{cut: true}
	if broken := r.Broken(); len(broken) > 0 {
		t.Errorf("Broken = %q, want none", broken)
	}
	if r.Lost = 1; len(r.Broken()) != 1 {
		t.Errorf("Broken = %q with a lost message, want that", r.Broken())
	}
	if r.wrong = make([]string, shown+2); len(r.Broken()) != shown+2 {
		t.Errorf("Broken = %q with %d problems of operations; want %d of them, and how many more there are", r.Broken(), shown+2, shown)
	}
}

func TestTheReportIsTheObjectThatProgramsRead(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(good())
	want := `{"calls":{"ok":9,"failed":1},"operations":{"started":5,"done":3,"failed":2,"failed_for_business":2},` +
		`"commands":{"sent":4,"handled":4,"dead_lettered":2,"redriven":2},"events":{"published":2,"expected":6,"handled":6},` +
		`"breaker":{"opened":1,"closed":1},"first_message_ms":7,"lost":0}`
	if err != nil || string(b) != want {
		t.Errorf("JSON = %s, %v; want %s", b, err, want)
	}
}

// The logs hold an order and a half. The receipt of the first was handled twice, its event by two of three groups; of the
// second only the charge was confirmed, and nobody did it. A loan's decision has reached one of two groups.
const messages = `called call storefront.v1.order-now ok
called call cards.v1.authorize unavailable
confirmed command billing.v1.charge o1-charge
confirmed command mail.v1.send-receipt o1-receipt
confirmed event storefront.v1.order-placed o1-placed
confirmed event storefront.v1.sold o1-sold
confirmed event loans.v1.decided l1-decided
confirmed command billing.v1.charge o2-charge
confirmed command billing.v1.charge o2-charge
handled command billing.v1.charge o1-charge -
handled command mail.v1.send-receipt o1-receipt -
handled command mail.v1.send-receipt o1-receipt -
handled event storefront.v1.order-placed o1-placed warehouse
handled event storefront.v1.order-placed o1-placed fraud
handled event storefront.v1.order-placed o3-placed fraud
handled event loans.v1.decided l1-decided risk
handled event storefront.v1.sold o1-so`

func TestWhatIsLostIsWhatWasConfirmedAndNotHandledByEachReceiver(t *testing.T) {
	t.Parallel()
	o := read(t, messages)
	want := []outside.Receipt{{ID: "o1-placed", Group: "mail"}, {ID: "l1-decided", Group: "archive"}, {ID: "o2-charge"}}
	if lost := o.Lost(); !slices.Equal(lost, want) {
		t.Errorf("Lost = %v; want %v", lost, want)
	}
	if o.Joined = true; len(o.Lost()) != 4 {
		t.Errorf("Lost = %v with the late joiner; want o1-sold too, whose line is not written to its end", o.Lost())
	}
	if twice := o.Twice(); twice != 1 {
		t.Errorf("Twice = %d, want the receipt", twice)
	}
	r := count(o)
	if want := (Report{Calls: Calls{1, 1}, Commands: Commands{Sent: 3, Handled: 2}, Events: Events{3, 6, 3}, Lost: 4}); !reflect.DeepEqual(r, want) {
		t.Errorf("count = %+v, want %+v", r, want)
	}
}

// An order is done, a sold-out one fails as it must, a loan is lost, one fails without a reason, one runs although nobody
// knows of its start, and of two nobody knows whether they were ever started.
const operations = `expected storefront.v1.place-order o1 ok
started storefront.v1.place-order o1
step-begin o1 reserve
step-end o1 reserve
step-begin o1 charge
step-end o1 charge
ended o1 ok
expected storefront.v1.place-order o2 storefront.v1.sold-out undo:release
started storefront.v1.place-order o2
step-begin o2 reserve
step-end o2 reserve
ended o2 storefront.v1.sold-out
step-begin o2 undo:release
step-end o2 undo:release
expected loans.v1.decide l1 ok
started loans.v1.decide l1
expected loans.v1.decide l2 ok
started loans.v1.decide l2
ended l2 unavailable
expected loans.v1.decide l3 loans.v1.not-booked undo:reverse-payout
step-begin l3 payout
ended l3 loans.v1.not-booked
expected loans.v1.decide l4 ok
expected storefront.v1.place-order o3 ok
`

func TestOperationsAreCountedAsTheyEndedByTheOutsideLogs(t *testing.T) {
	t.Parallel()
	o := read(t, operations)
	r := count(o)
	if want := (Operations{Started: 5, Done: 1, Failed: 3, FailedForBusiness: 2}); r.Operations != want || r.Lost != 1 {
		t.Errorf("count = %+v, %d lost; want %+v, 1 lost", r.Operations, r.Lost, want)
	}
	var unfinished []parley.MessageID
	for _, x := range o.Unfinished() {
		unfinished = append(unfinished, x.ID)
	}
	if want := []parley.MessageID{"l1", "l3"}; !slices.Equal(unfinished, want) {
		t.Errorf("Unfinished = %v, want %v: one has not ended, one not undone", unfinished, want)
	}
	want := []string{"l1: it was started, and has not ended", "l2: it has ended with unavailable, want ok", "l3: undo:reverse-payout has not run"}
	if len(r.wrong) != len(want) {
		t.Fatalf("problems %q, want %q", r.wrong, want)
	}
	for i := range want {
		if !strings.Contains(r.wrong[i], want[i]) {
			t.Errorf("problem %q, want %q", r.wrong[i], want[i])
		}
	}
}

func TestEachOfTheTwoOperationsIsCheckedByItsOwnStages(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		address string
		steps   []string
		want    string // a part of the one problem; "" = none
	}{
		{"storefront.v1.place-order", []string{"reserve", "reserve", "charge", "sold", "charge", "receipt", "placed"}, ""},
		{"storefront.v1.place-order", []string{"reserve", "charge", "reserve"}, "reserve has begun again after a later one"},
		{"loans.v1.decide", []string{"credit", "income", "credit", "fraud", "payout", "payout", "booking", "booking"}, ""},
		{"loans.v1.decide", []string{"credit", "payout", "fraud"}, "fraud has begun again after a later one"},
		{"loans.v1.decide", []string{"credit", "payout", "booking", "payout"}, "payout has begun again after a later one"},
		{"loans.v1.decide", []string{"credit", "offers", "offers", "offers.2", "payout"}, ""},
		{"loans.v1.decide", []string{"payout", "offers"}, "offers has begun again after a later one"},
		{"loans.v1.decide", []string{"reserve"}, "reserve is of no stage"},
		{"nobody.v1.knows", []string{"reserve"}, "reserve is of no stage"},
	} {
		lines := "expected " + x.address + " x ok\n"
		for _, s := range x.steps {
			lines += "step-begin x " + s + "\n"
		}
		problems := read(t, lines+"ended x ok\n").Problems()
		if (len(problems) == 0) != (x.want == "") || len(problems) > 1 || x.want != "" && !strings.Contains(problems[0], x.want) {
			t.Errorf("%s %v: problems %q, want %q", x.address, x.steps, problems, x.want)
		}
	}
}

// The process was killed after the code had returned, and before what its last steps keep was durable.
func TestAStepMayBeginAgainAfterTheCodeButNotAfterAnUndo(t *testing.T) {
	t.Parallel()
	const soldOut = "expected storefront.v1.place-order o storefront.v1.sold-out undo:release\n" +
		"step-begin o reserve\nended o storefront.v1.sold-out\nstep-begin o reserve\nended o storefront.v1.sold-out\n" +
		"step-begin o undo:release\nstep-end o undo:release\n"
	if problems := read(t, soldOut).Problems(); len(problems) > 0 {
		t.Errorf("problems %q, want none", problems)
	}
	problems := read(t, soldOut+"step-begin o reserve\n").Problems()
	if len(problems) != 1 || !strings.Contains(problems[0], "reserve has begun after an undo") {
		t.Errorf("problems %q with a step after the undo, want that", problems)
	}
}

func TestALineOfALogThatNobodyUnderstandsIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "confirmed command\n")
	if _, err := ReadOutside(dir); err == nil {
		t.Error("ReadOutside = nil, want an error")
	}
}

func read(t *testing.T, text string) *Outside {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, text)
	o, err := ReadOutside(dir)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "shop.log"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
