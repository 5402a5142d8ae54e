package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// broker answers for what waits, by "address pattern partitions group", and knows nothing else.
type broker map[string]int64

func (b broker) Backlog(_ context.Context, c transport.Channel, group string) (int64, time.Time, error) {
	n, ok := b[fmt.Sprint(c.Address, " ", c.Pattern, " ", c.Partitions, " ", group)]
	switch {
	case !ok:
		return 0, time.Time{}, fmt.Errorf("no such channel: %w", transport.ErrNotFound)
	case n < 0:
		return 0, time.Time{}, errors.New("broken")
	}
	return n, time.Time{}, nil
}

func (broker) RemoveGroup(context.Context, transport.Channel, string) error   { return nil }
func (broker) CancelDelayed(context.Context, transport.Channel, string) error { return nil }

func TestWhatWaitsIsFoundAlsoWhereNobodyAnnouncedTheFormOfItsChannel(t *testing.T) {
	t.Parallel()
	s := &session{net: &parley.Network{Operator: broker{
		"a topic 3 g": 7, "b queue 8 ": 1, "c queue 0 ": 2, "d stream 8 g": 3, "e topic 0 g": 4, "f queue 0 ": 5, "h topic 0 g": -1,
	}}}
	known := map[string]transport.Channel{"a": {Address: "a", Pattern: transport.Topic, Partitions: 3}}
	list := []receiver{{"a", "g"}, {"b", ""}, {"c", ""}, {"d", "g"}, {"e", "g"}, {"f", parley.OwnerGroup}, {"g", "g"}, {"h", "g"}}
	want := []string{"7", "≥ 1", "≥ 2", "≥ 3", "≥ 4", "5", "unknown", "unknown"}
	for i, q := range backlogs(t.Context(), s, known, list) {
		if got := q.count(); got != want[i] {
			t.Errorf("what waits for %s = %s (%v); want %s", list[i], got, q.err, want[i])
		}
	}
	if err := backlogOf(t.Context(), s, known, receiver{"g", "g"}).err; !errors.Is(err, transport.ErrNotFound) || !strings.Contains(err.Error(), "start a service") {
		t.Errorf("of a channel that is not there: %v; want ErrNotFound, and what to do", err)
	}
}

func TestReceiversAreListedOnceWhetherTheyRunOrNot(t *testing.T) {
	t.Parallel()
	all := []described{{at: parley.Instance{
		Receives: []parley.Reception{{Address: "e", Group: "g"}, {Address: "c"}}, Operations: []string{"o"},
	}}}
	got := receiversOf([]receiver{{"e", "g"}, {"e", "gone"}, {"o", parley.OwnerGroup}}, all, []ledger.Counts{
		{Address: "c", Style: ledger.StyleCommand, Accepted: 1}, {Address: "nobody", Style: ledger.StyleCommand, Accepted: 2},
		{Address: "never", Style: ledger.StyleCommand}, {Address: "e", Style: ledger.StyleEvent, Accepted: 3},
	})
	want := []receiver{{"c", ""}, {"e", "g"}, {"e", "gone"}, {"nobody", ""}, {"o", parley.OwnerGroup}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("receivers = %v; want %v", got, want)
	}
}

func TestARowSaysWhatIsNotKnownAndWhatIsNotAsItShouldBe(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := receiver{"orders.v1.placed", "mail"}
	instance := func(paused bool, because string) described {
		return described{
			at: parley.Instance{Receives: []parley.Reception{{Address: r.address, Group: r.group}}},
			is: parley.Description{Subscriptions: []delivery.Status{
				{Address: r.address, Receiver: "other", InFlight: 99},
				{Address: r.address, Receiver: r.group, InFlight: 2, Paused: paused, Because: because},
			}},
		}
	}
	for _, c := range []struct {
		is   string
		q    queued
		all  []described
		want string // count, age, in hand, note
	}{
		{"nothing waits", queued{}, []described{instance(false, "")}, "0|-|2|"},
		{"the broker tells no times", queued{waiting: 3}, []described{instance(false, "")}, "3|unknown|2|"},
		{"it is old", queued{waiting: 3, oldest: now.Add(-time.Minute)}, nil, "3|1m ago|0|forgotten? no instance receives for it"},
		{"its form is a guess", queued{waiting: 3, guessed: true}, []described{instance(false, "")}, "≥ 3|unknown|2|"},
		{"the broker does not answer", queued{err: errors.New("broker away")}, []described{instance(false, "")}, "unknown|unknown|2|broker away"},
		{"one is paused", queued{}, []described{instance(false, ""), instance(true, "why")}, "0|-|4|paused in 1 of 2 instances: why"},
		{"all are paused", queued{}, []described{instance(true, "b"), instance(true, "a"), instance(true, "b")}, "0|-|6|paused: b; a"},
		{"without a reason", queued{}, []described{instance(true, "")}, "0|-|2|paused: no reason was given"},
	} {
		row := lagRowOf(r, &c.q, standingsOf(c.all)[r])
		row.Nobody = len(c.all) == 0
		if got := strings.Join([]string{row.count(), row.age(now), fmt.Sprint(row.InHand), row.note()}, "|"); got != c.want {
			t.Errorf("%s: the row says %q; want %q", c.is, got, c.want)
		}
	}
}

func TestAPauseOfTheKillSwitchSaysWhenItTriesAgain(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var all []described
	for _, probe := range []time.Time{first.Add(time.Second), first, {}} {
		all = append(all, described{
			at: parley.Instance{Receives: []parley.Reception{{Address: "billing.v1.charge"}}},
			is: parley.Description{Subscriptions: []delivery.Status{{
				Address: "billing.v1.charge", Receiver: "billing.v1.charge", Paused: !probe.IsZero(), Because: "down", Probe: probe, StoppedKeys: 2,
			}}},
		})
	}
	r := receiver{address: "billing.v1.charge"}
	st := standingsOf(all)[r]
	if got, want := st.of(r).String(), "paused in 2 of 3 instances: down, tried again at "+clock(first); got != want {
		t.Errorf("it says %q; want %q", got, want)
	}
	all[0].is.Subscriptions[0].Paused, all[1].is.Subscriptions[0].Paused = false, false
	row := lagRowOf(r, &queued{}, standingsOf(all)[r])
	if got := row.note(); got != "2 keys stopped, see parley failed" {
		t.Errorf("of a group with stopped keys the row says %q; want how many", got)
	}
}

func TestAWatchPrintsTheRowsThatHaveChangedAndHowFast(t *testing.T) {
	t.Parallel()
	var out, told bytes.Buffer
	v := lagViewer{a: &app{out: &out, err: &told, output: outputTable}, last: make(map[receiver]lagRow), told: make(map[string]bool)}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	look := func(after time.Duration, waiting ...int64) string {
		out.Reset()
		rows := make([]lagRow, len(waiting))
		for i, n := range waiting {
			name := string(rune('a' + i))
			rows[i] = lagRow{At: at.Add(after), Address: name, Up: 1, Waiting: &n, receiver: receiver{address: name}}
		}
		if err := v.show(rows, []string{"warning: something is missing"}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := look(0, 100, 5); strings.Count(got, "\n") != 2 || strings.Contains(got, "/s") {
		t.Errorf("the first look prints %q; want both rows, and no speed yet", got)
	}
	if got := look(2*time.Second, 60, 5); strings.Count(got, "\n") != 1 || !strings.Contains(got, "60 waiting") || !strings.Contains(got, "-20.0/s, drained in 3s") {
		t.Errorf("the second look prints %q; want the row that has changed, -20.0/s and when it is drained", got)
	}
	if got := look(4*time.Second, 60, 5); got != "" {
		t.Errorf("a look at the same prints %q; want nothing", got)
	}
	if got := look(6*time.Second, 60, 25); !strings.Contains(got, "+10.0/s") {
		t.Errorf("a look at more prints %q; want +10.0/s", got)
	}
	if n := strings.Count(told.String(), "something is missing"); n != 1 {
		t.Errorf("what is missing was told %d times; want once", n)
	}
}

func TestPlacesInAStreamAreReadInEveryForm(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct{ from, until, want string }{
		{"", "", "now to for ever"},
		{"10m", "", "2026-01-02T02:54:05Z to for ever"},
		{"", "now", "start to 2026-01-02T03:04:05Z"},
		{"2h", "1h", "2026-01-02T01:04:05Z to 2026-01-02T02:04:05Z"},
		{"17", "0:99:3", "17 to 0:99:3"},
		{"start", "2027-01-01T00:00:00Z", "start to 2027-01-01T00:00:00Z"},
		{"1h", "2h", "!nothing is between them"},
		{"1h", "1h", "!nothing is between them"},
		{"yesterday", "", "!--from \"yesterday\": want"},
		{"-1h", "", "!--from \"-1h\": want"},
		{"now", "soon", "!--until \"soon\": want"},
	} {
		r, err := readRange(c.from, c.until, now)
		if part, wrong := strings.CutPrefix(c.want, "!"); wrong {
			if err == nil || !strings.Contains(err.Error(), part) || exitOf(err) != exitUsage {
				t.Errorf("--from %q --until %q = %v; want a usage error that says %s", c.from, c.until, err, part)
			}
			continue
		}
		until := place(r.until)
		if until == "now" {
			until = "for ever"
		}
		if got := place(r.from) + " to " + until; got != c.want || err != nil {
			t.Errorf("--from %q --until %q = %s, %v; want %s", c.from, c.until, got, err, c.want)
		}
	}
}

func place(p transport.Position) string {
	switch {
	case p.Start:
		return "start"
	case p.At != "":
		return p.At
	case !p.Time.IsZero():
		return p.Time.UTC().Format(time.RFC3339)
	}
	return "now"
}
