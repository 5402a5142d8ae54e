package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// good is a report with nothing to complain about.
func good() Report {
	return Report{
		Calls: Calls{OK: 9, Failed: 1}, Commands: Commands{Sent: 4, Handled: 4, DeadLettered: 2, Redriven: 2},
		Events: Events{Published: 2, Expected: 6, Handled: 6}, Breaker: Breaker{Opened: 1, Closed: 1}, FirstMessageMS: 7,
	}
}

func TestEveryConditionOfAGoodStoryIsCheckedByItself(t *testing.T) {
	t.Parallel()
	if broken := good().Broken(); len(broken) > 0 {
		t.Fatalf("Broken of a good report = %q, want none", broken)
	}
	for want, spoil := range map[string]func(*Report){
		"lost = 1":                 func(r *Report) { r.Lost = 1 },
		"commands: 3 handled":      func(r *Report) { r.Commands.Handled-- },
		"events: 5 handled":        func(r *Report) { r.Events.Handled-- },
		"dead letters: 1 redriven": func(r *Report) { r.Commands.Redriven-- },
		"no message became":        func(r *Report) { r.Commands.DeadLettered, r.Commands.Redriven = 0, 0 },
		"no call succeeded":        func(r *Report) { r.Calls.OK = 0 },
		"no command was sent":      func(r *Report) { r.Commands.Sent, r.Commands.Handled = 0, 0 },
		"no event was expected":    func(r *Report) { r.Events = Events{} },
		"no breaker opened":        func(r *Report) { r.Breaker.Opened = 0 },
		"no breaker closed":        func(r *Report) { r.Breaker.Closed = 0 },
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
}

func TestTheReportIsTheObjectThatProgramsRead(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(good())
	want := `{"calls":{"ok":9,"failed":1},"operations":{"started":0,"done":0,"failed":0},` +
		`"commands":{"sent":4,"handled":4,"dead_lettered":2,"redriven":2},"events":{"published":2,"expected":6,"handled":6},` +
		`"breaker":{"opened":1,"closed":1},"first_message_ms":7,"lost":0}`
	if err != nil || string(b) != want {
		t.Errorf("JSON = %s, %v; want %s", b, err, want)
	}
}

// The logs hold an order and a half. The receipt of the first was handled twice, its event by two of three groups; of the
// second only the charge was confirmed, and nobody did it.
const logs = `called call storefront.v1.place-order ok
called call cards.v1.authorize unavailable
confirmed command billing.v1.charge o1-charge
confirmed command mail.v1.send-receipt o1-receipt
confirmed event storefront.v1.order-placed o1-placed
confirmed event storefront.v1.sold o1-sold
confirmed command billing.v1.charge o2-charge
confirmed command billing.v1.charge o2-charge
handled command billing.v1.charge o1-charge -
handled command mail.v1.send-receipt o1-receipt -
handled command mail.v1.send-receipt o1-receipt -
handled event storefront.v1.order-placed o1-placed warehouse
handled event storefront.v1.order-placed o1-placed fraud
handled event storefront.v1.order-placed o3-placed fraud
handled event storefront.v1.sold o1-so`

func TestWhatIsLostIsWhatWasConfirmedAndNotHandledByEachReceiver(t *testing.T) {
	t.Parallel()
	o := read(t, logs)
	if lost := o.Lost(); len(lost) != 2 || lost[0] != (Handled{"o1-placed", "mail"}) || lost[1] != (Handled{"o2-charge", ""}) {
		t.Errorf("Lost = %v; want o1-placed at mail, and o2-charge", lost)
	}
	if o.Joined = true; len(o.Lost()) != 3 {
		t.Errorf("Lost = %v with the late joiner; want o1-sold too, whose line is not written to its end", o.Lost())
	}
	if twice := o.Twice(); twice != 1 {
		t.Errorf("Twice = %d, want the receipt", twice)
	}
	r := count(o)
	want := Report{Calls: Calls{1, 1}, Commands: Commands{Sent: 3, Handled: 2}, Events: Events{2, 4, 2}, Lost: 3}
	if r != want {
		t.Errorf("count = %+v, want %+v", r, want)
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
