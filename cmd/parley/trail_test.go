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
