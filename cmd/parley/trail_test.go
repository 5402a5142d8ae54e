package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger"
)

// noon is a time that the tests name by its clock.
var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.Local)

// story is a trail with one of each: a call that caused a command, which is tried again, and an event with three
// groups; and one to which nobody had subscribed.
func story() parley.Trail {
	try := func(n int, after time.Duration, failed string) ledger.Attempt {
		return ledger.Attempt{Number: n, Instance: "billing-12ab", Began: noon.Add(after), Took: 4 * time.Millisecond, Error: failed}
	}
	return parley.Trail{
		Query: "order-1", Found: ledger.FoundCorrelation, Revision: 7, Gaps: []string{"stock was killed at 12:00:01"},
		Hops: []ledger.Hop{
			{ID: "order-1", Style: ledger.StyleCall, Address: "shop.v1.order", Source: "cli", Receivers: []ledger.Receiver{
				{Group: "shop", State: ledger.Handled, Of: 3, Attempts: []ledger.Attempt{try(1, 0, "")}}}},
			{ID: "c-1", Style: ledger.StyleCommand, Address: "billing.v1.charge", Key: "ann", Source: "shop", Causation: "order-1", Depth: 1, Accepted: noon,
				Receivers: []ledger.Receiver{{Group: "billing.v1.charge", State: ledger.Retrying, Of: 6, Next: noon.Add(time.Minute),
					Attempts: []ledger.Attempt{try(1, time.Second, "503"), try(2, 2*time.Second, "503")}}}},
			{ID: "e-1", Style: ledger.StyleEvent, Address: "shop.v1.placed", Source: "shop", Causation: "order-1", Depth: 1, Accepted: noon,
				Receivers: []ledger.Receiver{
					{Group: "fraud", State: ledger.Waiting},
					{Group: "mail", State: ledger.DeadLetter, Of: 1, Reason: "no such user", Attempts: []ledger.Attempt{try(1, time.Second, "no such user")}},
					{Group: "stock", State: ledger.Handled, Of: 8, Redriven: 1, Attempts: []ledger.Attempt{try(1, 0, "full"), {Number: 2, Began: noon.Add(5 * time.Second), Took: time.Second, By: "ann"}}},
				}},
			{ID: "e-2", Style: ledger.StyleEvent, Address: "shop.v1.sold", Source: "shop", Causation: "c-1", Depth: 2, Accepted: noon, Nobody: true},
		},
	}
}

const drawn = `order-1  2 waiting · 6s · 4 hops · 6 attempts · 1 redrive · found as correlation
→ shop.v1.order                 order-1   cli → shop              done 4ms
├─ ✉ billing.v1.charge [ann]    c-1       shop → billing          retrying, attempt 2 of 6 failed, next at 12:01:00 (in 40s)
│  │                                        #1 of 6 12:00:01 4ms   failed: 503
│  │                                        #2 of 6 12:00:02 4ms   failed: 503
│  └─ ◉ shop.v1.sold            e-2       shop → nobody           nobody subscribed when it was accepted
└─ ◉ shop.v1.placed             e-1       shop → fraud            expected, has not begun
                                          shop → mail             dead-lettered after attempt 1 of 1: no such user
                                            #1 of 1 12:00:01 4ms   failed: no such user
                                          shop → stock            done 1s, attempt 2 of 8, redriven once
                                            #1 of 8 12:00:00 4ms   failed: full
                                            #2 of 8 12:00:05 1s    done (redriven by ann)
gap: stock was killed at 12:00:01`

func TestATrailIsDrawnAsATreeWithEveryReceiverAndAttempt(t *testing.T) {
	t.Parallel()
	got := squeeze(strings.Join(draw(story(), noon.Add(20*time.Second)), "\n"))
	if want := squeeze(drawn); got != want {
		t.Errorf("the trail is drawn as\n%s\nwant\n%s", got, want)
	}
}

// squeeze leaves out how wide the columns are.
func squeeze(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return b.String()
}

func TestAWatchedTrailAppendsOnlyWhatIsNewWhereNobodyCanPaint(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := viewer{a: &app{out: &out, output: outputTable}, size: func() (int, int) { return 0, 0 }, shown: make(map[string]bool)}
	trail := story()
	if err := v.show(trail); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	trail.Hops[2].Receivers[0].State = ledger.Running
	trail.Hops[2].Receivers[0].Attempts = []ledger.Attempt{{Number: 1, Began: noon}}
	if err := v.show(trail); err != nil {
		t.Fatal(err)
	}
	want := "order-1 2 waiting · 6s · 4 hops · 7 attempts · 1 redrive · found as correlation\n└─ ◉ shop.v1.placed e-1 shop → fraud running, attempt 1\n"
	if got := squeeze(out.String()); got != want {
		t.Errorf("the change is shown as\n%s\nwant\n%s", got, want)
	}
}

func TestAWatchedTrailIsPaintedOverOnATerminalThatIsLargeEnough(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	height := 50
	v := viewer{a: &app{out: &out, output: outputTable}, size: func() (int, int) { return 40, height }, shown: make(map[string]bool)}
	if err := v.show(story()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 40 {
			t.Errorf("line %q has %d characters, want at most the 40 of the terminal: it would wrap", line, n)
		}
	}
	out.Reset()
	if err := v.show(story()); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[13A\x1b[Jorder-1"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("the second picture begins with %q, want %q", out.String()[:20], want)
	}
	out.Reset()
	height = 10
	if err := v.show(story()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a trail that is higher than the terminal is painted over, want its lines appended")
	}
}

// loan is the trail of an operation that waits for a clerk: a step that calls another service, one that is tried again,
// one that was cut off with its process, a sleep, a command that the operation sent by itself, two signals.
func loan() parley.Trail {
	try := func(n int, after, took time.Duration, failed string) ledger.Attempt {
		return ledger.Attempt{Number: n, Instance: "loans-12ab", Began: noon.Add(after), Took: took, Error: failed}
	}
	step := func(name string, r ledger.Receiver) ledger.Hop {
		r.Group = "loans"
		return ledger.Hop{ID: "s-" + name, Style: ledger.StyleStep, Address: "loans.v1.decide/" + name, Key: "ann", Causation: "loan-1", Depth: 1, Receivers: []ledger.Receiver{r}}
	}
	signal := func(id string, r ledger.Receiver) ledger.Hop {
		r.Group = "loans.v1.decide"
		return ledger.Hop{ID: id, Style: ledger.StyleSignal, Address: "loans.v1.decide/signed", Source: "clerk", Causation: "loan-1", Depth: 1, Accepted: noon.Add(3 * time.Second), Receivers: []ledger.Receiver{r}}
	}
	const ms = time.Millisecond
	return parley.Trail{
		Query: "loan-1", Found: ledger.FoundID, Revision: 9, Hops: []ledger.Hop{
			{ID: "loan-1", Style: ledger.StyleOperation, Address: "loans.v1.decide", Key: "ann", Source: "web", Accepted: noon, Receivers: []ledger.Receiver{
				{Group: "loans.v1.decide", State: ledger.Running, Attempts: []ledger.Attempt{try(1, 0, 0, ""), try(2, 2*time.Second, 0, "")}}}},
			step("credit", ledger.Receiver{State: ledger.Handled, Attempts: []ledger.Attempt{try(1, 10*ms, 31*ms, "")}}),
			step("fraud", ledger.Receiver{State: ledger.Handled, Attempts: []ledger.Attempt{try(1, 10*ms, 0, ""), try(2, 2*time.Second, 40*ms, "")}}),
			step("income", ledger.Receiver{State: ledger.Retrying, Of: 3, Next: noon.Add(time.Minute), Attempts: []ledger.Attempt{try(1, 10*ms, 20*ms, "busy")}}),
			step("scores", ledger.Receiver{State: ledger.Waiting, Attempts: []ledger.Attempt{try(1, 11*ms, 0, ""), try(2, time.Second, 0, "")}}),
			step("notes", ledger.Receiver{State: ledger.Running, Of: 2, Attempts: []ledger.Attempt{try(1, 11*ms, ms, "no"), try(2, time.Second, 0, "")}}),
			{ID: "m-1", Style: ledger.StyleCommand, Address: "mail.v1.send", Source: "loans", Causation: "loan-1", Depth: 1, Accepted: noon, Receivers: []ledger.Receiver{{Group: "mail.v1.send", State: ledger.Waiting}}},
			step("sleep", ledger.Receiver{State: ledger.Running, Next: noon.Add(time.Hour), Attempts: []ledger.Attempt{try(1, 3*time.Second, 0, "")}}),
			step("signal:signed", ledger.Receiver{State: ledger.Waiting, Next: noon.Add(26 * time.Hour), Attempts: []ledger.Attempt{try(1, 3*time.Second, 0, "")}}),
			signal("g-1", ledger.Receiver{State: ledger.Handled, Attempts: []ledger.Attempt{try(1, 4*time.Second, 1, "")}}),
			signal("g-2", ledger.Receiver{State: ledger.Waiting}),
			{ID: "k-1", Style: ledger.StyleCall, Address: "credit.v1.check", Source: "loans", Causation: "s-credit", Depth: 2, Receivers: []ledger.Receiver{
				{Group: "credit", State: ledger.Handled, Of: 3, Attempts: []ledger.Attempt{try(1, 11*ms, 29*ms, "")}}}},
		},
	}
}

const drawnLoan = `loan-1  2 waiting · 4s · 12 hops · 14 attempts
⟳ loans.v1.decide [ann]      loan-1          web → loans             running since 12:00:00, attempt 2, 3 of 8 steps done
│                                              #1 12:00:00           was cut off
│                                              #2 12:00:02           runs
├─ ▸ credit                  s-credit        loans                   done 31ms
│  └─ → credit.v1.check      k-1             loans → credit          done 29ms
├─ ▸ fraud                   s-fraud         loans                   done 40ms, attempt 2
│                                              #1 12:00:00           was cut off
│                                              #2 12:00:02 40ms      done
├─ ▸ income                  s-income        loans                   retrying, attempt 1 of 3 failed, next at 12:01:00 (in 40s)
│                                              #1 of 3 12:00:00 20ms failed: busy
├─ ▸ scores                  s-scores        loans                   attempt 2 was cut off, waits to begin again
│                                              #1 12:00:00           was cut off
│                                              #2 12:00:01           was cut off
├─ ▸ notes                   s-notes         loans                   running, attempt 2, since 12:00:01
│                                              #1 of 2 12:00:00 1ms  failed: no
│                                              #2 of 2 12:00:01      runs
├─ ✉ mail.v1.send            m-1             loans → mail            expected, has not begun
├─ ▸ sleep                   s-sleep         loans                   sleeping since 12:00:03 (until 13:00:00)
├─ ▸ signed                  s-signal:signed loans                   waiting for a signal since 12:00:03 (until tomorrow 14:00)
├─ ⚑ signed                  g-1             clerk → loans           taken at 12:00:04
└─ ⚑ signed                  g-2             clerk → loans           not taken yet, came at 12:00:03`

func TestAnOperationIsDrawnWithItsStepsSignalsAndWhatTheyDid(t *testing.T) {
	t.Parallel()
	got := squeeze(strings.Join(draw(loan(), noon.Add(20*time.Second)), "\n"))
	if want := squeeze(drawnLoan); got != want {
		t.Errorf("the operation is drawn as\n%s\nwant\n%s", got, want)
	}
}

const drawnFailure = `loan-1  failed, 1 waiting · 4s · 12 hops · 12 attempts
⟳ loans.v1.decide [ann] loan-1 web → loans failed 2.5s, 3 of 7 steps done, 1 undone: account closed
├─ ▸ credit s-credit loans done 31ms
│  └─ → credit.v1.check k-1 loans → credit unfinished, its operation is over
├─ ▸ undo fraud s-fraud loans done 40ms, attempt 2
│ #1 12:00:00 was cut off
│ #2 12:00:02 40ms done
├─ ▸ income s-income loans failed: busy
├─ ▸ scores s-scores loans unfinished, its operation is over
│ #1 12:00:00 was cut off
│ #2 12:00:01 was cut off
├─ ▸ notes s-notes loans unfinished, its operation is over
│ #1 of 2 12:00:00 1ms failed: no
│ #2 of 2 12:00:01 was cut off
├─ ✉ mail.v1.send m-1 loans → mail done
├─ ⟳ loans.v1.book s-sleep loans → loans accepted, has not begun
├─ ▸ signed s-signal:signed loans unfinished, its operation is over
├─ ⚑ signed g-1 clerk → loans taken at 12:00:04
└─ ⚑ signed g-2 clerk → loans not taken, its operation is over`

func TestAnOperationThatFailedShowsWhatWasUndoneAndWhatItsEndCutOff(t *testing.T) {
	t.Parallel()
	trail := loan()
	for i := range trail.Hops {
		if r := &trail.Hops[i].Receivers[0]; !r.State.Final() {
			r.State, r.Next = ledger.Abandoned, time.Time{}
		}
	}
	trail.Hops[0].Receivers[0] = ledger.Receiver{Group: "loans.v1.decide", State: ledger.Unsuccessful, Reason: "account closed", Attempts: []ledger.Attempt{
		{Number: 1, Began: noon.Add(time.Second), Took: 1500 * time.Millisecond, Error: "account closed"}}}
	trail.Hops[2].Address = "loans.v1.decide/undo:fraud"
	trail.Hops[3].Receivers[0].State, trail.Hops[3].Receivers[0].Reason = ledger.Unsuccessful, "busy"
	trail.Hops[6].Receivers[0].State = ledger.Handled
	trail.Hops[7] = ledger.Hop{ID: "s-sleep", Style: ledger.StyleOperation, Address: "loans.v1.book", Source: "loans", Causation: "loan-1", Depth: 1, Accepted: noon,
		Receivers: []ledger.Receiver{{Group: "loans.v1.book", State: ledger.Waiting}}}
	trail.Hops[11].Receivers[0].State = ledger.Abandoned
	got := squeeze(strings.Join(draw(trail, noon.Add(20*time.Second)), "\n"))
	if want := squeeze(drawnFailure); got != want {
		t.Errorf("the operation is drawn as\n%s\nwant\n%s", got, want)
	}
}

func TestAnOperationsLineSaysWhereItIs(t *testing.T) {
	t.Parallel()
	tries := func(n int, took time.Duration) (all []ledger.Attempt) {
		for i := range n {
			all = append(all, ledger.Attempt{Number: i + 1, Began: noon.Add(time.Duration(i+1) * time.Second), Took: took})
		}
		return all
	}
	for want, r := range map[string]ledger.Receiver{
		"accepted, has not begun":                                  {State: ledger.Waiting},
		"cut off, waits to go on":                                  {State: ledger.Waiting, Attempts: tries(1, 0)},
		"running since yesterday 12:00":                            {State: ledger.Running, Attempts: tries(1, 0)},
		"done 3s, attempt 2, redriven once":                        {State: ledger.Handled, Redriven: 1, Attempts: tries(2, time.Second)},
		"failed: cents must be positive":                           {State: ledger.Unsuccessful, Reason: "cents must be positive"},
		"dead-lettered after attempt 1 of 1: unavailable: no room": {State: ledger.DeadLetter, Of: 1, Reason: "unavailable: no room", Attempts: tries(1, time.Second)},
	} {
		h := ledger.Hop{ID: "op", Style: ledger.StyleOperation, Address: "loans.v1.decide", Accepted: noon, Receivers: []ledger.Receiver{r}}
		d := drawing{now: noon.AddDate(0, 0, 1)}
		if got := d.state(&h, &r); got != want {
			t.Errorf("an operation that is %s with %d attempts: got %q; want %q", r.State, len(r.Attempts), got, want)
		}
	}
}

func TestATimeOfAnotherDaySaysWhichUnlessItWouldChangeWithoutNews(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		now  time.Time
		days int
		want string
	}{
		{noon, 0, "12:00:00"}, {noon, 1, "tomorrow 12:00"}, {noon, -1, "yesterday 12:00"}, {noon, 2, "2030-01-04 12:00"},
		{time.Time{}, 0, "12:00:00"}, {time.Time{}, 1, "2030-01-03 12:00"}, {time.Time{}, -1, "2030-01-01 12:00"},
	} {
		d := drawing{now: one.now}
		if got := d.moment(noon.AddDate(0, 0, one.days), noon); got != one.want {
			t.Errorf("%d days away, now %v: got %q; want %q", one.days, one.now, got, one.want)
		}
	}
}
