package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/operation"
)

// underway is an operation with a step in each state.
func underway() sighting {
	step := func(name, kind, state string) parley.StepStatus {
		return parley.StepStatus{Name: name, Kind: kind, State: state, Attempt: 1, Begun: noon}
	}
	credit := step("credit", operation.KindStep, parley.StepDone)
	credit.Ended, credit.Attempt, credit.Of = noon.Add(31*time.Millisecond), 2, 5
	income := step("payroll.v1.get#1", operation.KindCall, parley.StepRunning)
	income.Attempt, income.Of = 2, 3
	fraud := step("fraud", operation.KindStep, parley.StepRetrying)
	fraud.Of, fraud.Error, fraud.Next = 5, "unavailable: 503", noon.Add(15*time.Second)
	signed := step("signal:signed#1", operation.KindSignal, parley.StepWaiting)
	signed.Next = noon.Add(time.Hour)
	endless := step("signal:signed#2", operation.KindSignal, parley.StepWaiting)
	endless.Next = operation.Never
	pause := step("sleep#1", operation.KindSleep, parley.StepWaiting)
	pause.Next = noon.Add(time.Minute)
	offer := step("offer", operation.KindStep, parley.StepFailed)
	offer.Ended, offer.Error = noon.Add(time.Second), "no lender"
	undo := step("undo:payout", operation.KindUndo, parley.StepDone)
	undo.Ended = noon.Add(time.Millisecond)
	return sighting{status: parley.OperationStatus{
		ID: "loan-1", Name: "loans.v1.decide", Status: operation.Running, Created: noon, Updated: noon, Deadline: noon.Add(time.Minute), Revision: 9,
		Metadata: parley.OperationMetadata{
			Progress: parley.Progress{Done: 3, Of: 10}, Left: []string{"payout", "letter"}, Signals: []string{"papers"},
			Steps: []parley.StepStatus{credit, income, fraud, signed, endless, pause, offer, undo},
		},
	}}
}

const underwayDrawn = `⟳ loans.v1.decide loan-1 running · 10s · 3 of 10 steps done · deadline at 12:01:00 (in 50s)
✔ credit 31ms, attempt 2 of 5
▶ payroll.v1.get running 10s, attempt 2 of 3
↻ fraud attempt 1 of 5 failed: unavailable: 503; again at 12:00:15 (in 5s)
◌ signed waiting for the signal, at the latest at 13:00:00 (in 59m50s)
◌ signed#2 waiting for the signal
◌ sleep sleeping, at the latest at 12:01:00 (in 50s)
✖ offer failed: no lender
↩ undo payout 1ms
· payout
· letter
signals not taken yet: papers
its owner is away; it goes on when the owner is back`

func TestAnOperationIsDrawnWithWhatItDidWhatItWaitsForAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	seen := underway()
	seen.away = true
	lines := drawOperation(seen, noon.Add(10*time.Second), looksOf(func(string) string { return "" }, true))
	var texts []string
	for i, l := range lines {
		texts = append(texts, strings.TrimSpace(l.text))
		if want := i == 9 || i == 10; l.grey != want {
			t.Errorf("line %d %q is grey: %v, want %v: only what is left is", i, l.text, l.grey, want)
		}
	}
	if got := squeeze(strings.Join(texts, "\n")); got != squeeze(underwayDrawn) {
		t.Errorf("the operation is drawn as\n%s\nwant\n%s", got, underwayDrawn)
	}
}

func TestTheStateOfAnOperationIsSaidWithItsReason(t *testing.T) {
	t.Parallel()
	problem := &parley.Problem{Title: "internal", Detail: "no money"}
	for _, c := range []struct {
		s    parley.OperationStatus
		want string
	}{
		{parley.OperationStatus{Status: operation.NotStarted}, "has not begun"},
		{parley.OperationStatus{Status: operation.Running}, "running"},
		{parley.OperationStatus{Status: operation.Canceling, Metadata: parley.OperationMetadata{Reason: "rain"}}, "canceling: rain"},
		{parley.OperationStatus{Status: operation.Compensating, Error: problem}, "undoing: no money"},
		{parley.OperationStatus{Status: operation.Parked, Metadata: parley.OperationMetadata{Parked: "mend it"}}, "parked: mend it"},
		{parley.OperationStatus{Status: operation.Succeeded}, "done"},
		{parley.OperationStatus{Status: operation.Failed, Error: problem}, "failed: no money"},
		{parley.OperationStatus{Status: operation.Failed, Error: &parley.Problem{Title: "shop.v1.closed"}}, "failed: shop.v1.closed"},
		{parley.OperationStatus{Status: operation.Canceled}, "canceled"},
		{parley.OperationStatus{}, "not known"},
	} {
		if got := stateWords(c.s); got != c.want {
			t.Errorf("state of %+v = %q, want %q", c.s.Status, got, c.want)
		}
	}
}

func TestTheEnvironmentSaysHowAnOperationLooks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env          map[string]string
		terminal     bool
		colour, dumb bool
		done         string
	}{
		{nil, true, true, false, "✔"},
		{nil, false, false, false, "✔"},
		{map[string]string{"NO_COLOR": "1"}, true, false, false, "✔"},
		{map[string]string{"TERM": "dumb"}, true, false, true, "+"},
		{map[string]string{"LANG": "en_US.UTF-8"}, true, true, false, "✔"},
		{map[string]string{"LANG": "en_US.utf8"}, true, true, false, "✔"},
		{map[string]string{"LANG": "C"}, true, true, false, "+"},
		{map[string]string{"LC_ALL": "C.UTF-8", "LANG": "C"}, true, true, false, "✔"},
		{map[string]string{"LANG": "C"}, false, false, false, "✔"},
	} {
		got := looksOf(func(name string) string { return c.env[name] }, c.terminal)
		if got.colour != c.colour || got.dumb != c.dumb || got.marks[parley.StepDone] != c.done {
			t.Errorf("looks with %v, terminal %v = colour %v, dumb %v, done %s; want %v, %v, %s",
				c.env, c.terminal, got.colour, got.dumb, got.marks[parley.StepDone], c.colour, c.dumb, c.done)
		}
	}
	plain := looksOf(func(string) string { return "dumb" }, true).marks
	pretty := looksOf(func(string) string { return "" }, true).marks
	for state, mark := range plain {
		if len(mark) != 1 || pretty[state] == "" {
			t.Errorf("the mark of %s is %q and %q, want one ASCII character beside one that is none", state, mark, pretty[state])
		}
	}
	if len(plain) != len(pretty) {
		t.Errorf("got %d ASCII marks, want %d", len(plain), len(pretty))
	}
}

// onTerminal is a progress on a terminal of 40 columns.
func onTerminal(height int) (*progress, *bytes.Buffer) {
	var out bytes.Buffer
	return &progress{
		a: &app{out: &out, err: &out, output: outputTable}, size: func() (int, int) { return 40, height }, people: true,
		looks: looksOf(func(string) string { return "" }, true), shown: make(map[string]bool),
	}, &out
}

func TestProgressIsPaintedOverOnATerminalAndGoesOnWithTheClock(t *testing.T) {
	t.Parallel()
	p, out := onTerminal(50)
	if err := p.tick(noon); err != nil || out.Len() > 0 {
		t.Errorf("before anything was seen it paints %q, %v; want nothing", out, err)
	}
	if err := p.show(underway(), noon.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(out.String()) {
		bare := strings.NewReplacer("\x1b[90m", "", "\x1b[0m", "", "\n", "").Replace(text)
		if n := len([]rune(bare)); n > 40 {
			t.Errorf("line %q has %d characters, want at most the 40 of the terminal: it would wrap", bare, n)
		}
	}
	if !strings.Contains(out.String(), "\x1b[90m  · payout\x1b[0m\n") {
		t.Errorf("painted %q, want what is left in grey", out)
	}
	out.Reset()
	if err := p.tick(noon.Add(9 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, "\x1b[12A\x1b[J⟳ loans.v1.decide") || !strings.Contains(got, "running 9s") {
		t.Errorf("eight seconds later it paints %q, want it over the 12 lines, with the step at 9 s", got)
	}
	done := underway()
	done.status.Status, done.status.Done, done.status.Result = operation.Succeeded, true, []byte(`{"granted":true}`)
	out.Reset()
	if err := p.end(done.status); err != nil || out.String() != "{\n  \"granted\": true\n}\n" {
		t.Errorf("at its end it prints %q, %v; want the result", out, err)
	}
}

func TestProgressThatCannotBePaintedOverAppendsWhatIsNew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*progress){
		"a terminal that is too low":        func(*progress) {},
		"a terminal that cannot paint over": func(p *progress) { p.size = func() (int, int) { return 80, 50 }; p.looks.dumb = true },
	} {
		p, out := onTerminal(5)
		change(p)
		seen := underway()
		if err := p.show(seen, noon.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "\x1b[J") {
			t.Errorf("%s: it paints over: %q", name, out)
		}
		out.Reset()
		if err := p.show(seen, noon.Add(2*time.Second)); err != nil || out.Len() > 0 {
			t.Errorf("%s: without news it appends %q, %v; want nothing", name, out, err)
		}
		seen.status.Metadata.Signals = nil
		seen.status.Metadata.Left = nil
		seen.status.Metadata.Steps = append(seen.status.Metadata.Steps, parley.StepStatus{Name: "payout", State: parley.StepRunning, Begun: noon})
		if err := p.show(seen, noon.Add(3*time.Second)); err != nil || squeeze(out.String()) != "▶ payout running\n" {
			t.Errorf("%s: with one more step it appends %q, %v; want that step", name, out, err)
		}
	}
}

func TestWaitTakesItsDurationEitherWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		wait string
		want string // the rest, and the value
	}{
		{[]string{"a.v1.b", "n=1", "5s"}, untilTheEnd, "a.v1.b n=1 | 5s"},
		{[]string{"a.v1.b", "5s", "n=1"}, untilTheEnd, "a.v1.b n=1 | 5s"},
		{[]string{"a.v1.b", "n=5s"}, untilTheEnd, "a.v1.b n=5s | end"},
		{[]string{"a.v1.b", "5s"}, "", "a.v1.b 5s | "},
		{[]string{"a.v1.b", "7s"}, "5s", "a.v1.b 7s | 5s"},
	} {
		rest, value := waitArgument(c.args, c.wait)
		if got := strings.Join(rest, " ") + " | " + value; got != c.want {
			t.Errorf("waitArgument(%q, %q) = %q, want %q", c.args, c.wait, got, c.want)
		}
	}
}

func TestAWaitThatIsOverSaysThatTheOperationGoesOn(t *testing.T) {
	t.Parallel()
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), noon.AddDate(-20, 0, 0))
	defer stop()
	for _, c := range []struct {
		ctx  context.Context
		exit int
	}{{interrupted, exitInterrupted}, {late, exitDeadline}} {
		p := explain(context.Background(), goesOn(c.ctx, parley.OperationStatus{ID: "loan-1", Name: "loans.v1.decide"}))
		if p.Exit != c.exit || p.Try != "parley wait loan-1" || p.ID != "loan-1" || !strings.Contains(p.Error, "goes on") {
			t.Errorf("the end of a wait = %+v; want exit code %d, the id, that it goes on, and how to wait again", p, c.exit)
		}
	}
}

// Whatever code the failure of an operation has, waiting for it has shown that it failed, and nothing else.
func TestTheFailureOfAnOperationIsNotTheFailureToWaitForIt(t *testing.T) {
	t.Parallel()
	for code := range codes {
		for _, status := range []operation.Status{operation.Failed, operation.Canceled} {
			s := parley.OperationStatus{ID: "x", Status: status, Done: true, Error: &parley.Problem{Code: code}}
			if got := exitOf(ended(s)); got != exitFailed {
				t.Errorf("exit code after %s with %s = %d, want %d", status, code, got, exitFailed)
			}
		}
	}
	if err := ended(parley.OperationStatus{Status: operation.Succeeded, Done: true}); err != nil {
		t.Errorf("ended = %v after success, want nil", err)
	}
}

func TestFieldsWithoutAContractAreWhatTheyLookLike(t *testing.T) {
	t.Parallel()
	b, err := (&app{}).readBody("", false, []string{"name=ann", "n=7", "ok=true", "none=null", `tags=["a"]`, "at.row=1", `quoted="x"`, "zip=007"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.encode(&shape{guess: true})
	if want := `{"at":{"row":1},"n":7,"name":"ann","none":null,"ok":true,"quoted":"\"x\"","tags":["a"],"zip":"007"}`; string(got) != want || err != nil {
		t.Errorf("body = %s, %v; want %s", got, err, want)
	}
}

func TestDurationsAreShortAndTrue(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 50 * time.Microsecond: "50µs", 31 * time.Millisecond: "31ms", 20 * time.Second: "20s", time.Minute: "1m",
		59*time.Minute + 50*time.Second: "59m50s", 2*time.Minute + time.Second: "2m1s", time.Hour: "1h0m", 70 * time.Minute: "1h10m", 72 * time.Hour: "3d",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %q, want %q", d, got, want)
		}
	}
}
