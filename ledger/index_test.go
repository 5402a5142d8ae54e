package ledger

import (
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

var began = time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)

// drawBatches makes batches of three processes about few messages, with every kind and with contradictions.
func drawBatches(t *rapid.T) []Batch {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	processes := map[string]uint64{}
	var batches []Batch
	for range rapid.IntRange(1, 12).Draw(t, "batches") {
		p := pick("process", "orders~1", "mail~1", "mail~2")
		processes[p] += uint64(rapid.IntRange(1, 2).Draw(t, "skip"))
		at := began.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "at")) * time.Second)
		b := Batch{Version: 1, Process: p, Number: processes[p], At: at, Last: rapid.IntRange(0, 9).Draw(t, "last") == 0}
		for range rapid.IntRange(0, 6).Draw(t, "transitions") {
			tr := Transition{
				At: at.Add(-time.Duration(rapid.IntRange(0, 3).Draw(t, "before")) * time.Second), Kind: rapid.SampledFrom(kinds[:]).Draw(t, "kind"),
				ID: pick("id", "a", "b", "c", "d"), Style: pick("style", StyleCall, StyleCommand, StyleEvent, StyleEvent, StyleOperation, StyleStep, StyleSignal, ""),
				Address: pick("address", "x.v1.a", "x.v1.b"), Group: pick("group", "mail", "fraud", ""), Copy: pick("copy", "", "a2", "r1", "r1a2"),
				Correlation: pick("correlation", "", "a", "s"), Causation: pick("causation", "", "a", "b", "c"), Key: pick("key", "", "k"),
				Service: pick("service", "mail", "orders"), Instance: pick("instance", "i1", "i2"), Attempt: rapid.IntRange(0, 3).Draw(t, "attempt"), Attempts: 3,
				Until: []time.Time{{}, at.Add(time.Minute)}[rapid.IntRange(0, 1).Draw(t, "until")],
				Took:  time.Duration(rapid.IntRange(0, 2).Draw(t, "took")) * time.Second, Reason: pick("reason", "", "", "failed"),
			}
			if tr.Kind == Accepted && rapid.Bool().Draw(t, "known") {
				tr.Expected = []string{"mail", "warehouse"}[:rapid.IntRange(0, 2).Draw(t, "expected")]
			}
			b.Transitions = append(b.Transitions, tr)
		}
		batches = append(batches, b)
	}
	return batches
}

func TestOrderAndRepetitionOfBatchesDoNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		batches := drawBatches(t)
		plain, mixed := NewIndex(0), NewIndex(0)
		for _, b := range batches {
			plain.Add(b)
		}
		for _, b := range rapid.Permutation(append(slices.Clone(batches), batches...)).Draw(t, "order") {
			mixed.Add(b)
		}
		compare(t, plain, mixed)
	})
}

func TestTheDivisionIntoBatchesDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []Transition
		for _, b := range drawBatches(t) {
			all = append(all, b.Transitions...)
		}
		one, many := NewIndex(0), NewIndex(0)
		one.Add(Batch{Version: 1, Process: "p", Number: 1, At: began, Transitions: all})
		for i, tr := range rapid.Permutation(append(slices.Clone(all), all...)).Draw(t, "order") {
			many.Add(Batch{Version: 1, Process: "p", Number: uint64(i + 1), At: began, Transitions: []Transition{tr}})
		}
		compare(t, one, many)
	})
}

func compare(t *rapid.T, want, got *Index) {
	for _, query := range []string{"a", "b", "c", "d", "s", "k"} {
		w, wok := want.Trail(query)
		g, gok := got.Trail(query)
		w.Revision, g.Revision = 0, 0
		if wok != gok || !reflect.DeepEqual(w, g) {
			t.Fatalf("follow %s: mixed got:\n%swant:\n%s", query, render(&g), render(&w))
		}
		checkTrail(t, &w)
	}
	w, g := want.Totals(), got.Totals()
	if w.Transitions != g.Transitions || w.Hops != g.Hops || w.Missing != g.Missing && want.totals.Batches == got.totals.Batches {
		t.Fatalf("totals: mixed got %+v, want %+v", g, w)
	}
	if g.Bytes < 0 || g.Hops == 0 != (g.Bytes == 0) {
		t.Fatalf("bytes: got %d for %d hops", g.Bytes, g.Hops)
	}
}

// checkTrail checks what holds in every trail.
func checkTrail(t *rapid.T, trail *Trail) {
	depths := map[string]int{}
	over := map[string]bool{} // operations that have come to an end
	for i, h := range trail.Hops {
		if i > 0 && h.Depth < trail.Hops[i-1].Depth && h.Correlation == trail.Hops[i-1].Correlation {
			t.Fatalf("depths out of order:\n%s", render(trail))
		}
		depths[h.ID] = h.Depth
		if h.Style != StyleEvent && h.Style != "" && len(h.Receivers) != 1 {
			t.Fatalf("%s is a %s with %d receivers, want 1", h.ID, h.Style, len(h.Receivers))
		}
		if h.Style == StyleOperation {
			over[h.ID] = h.Receivers[0].State == Handled || h.Receivers[0].State == Unsuccessful
		}
		if over[h.Causation] && (h.Style == StyleStep || h.Style == StyleSignal) && !h.Settled() {
			t.Fatalf("%s is open though its operation is over:\n%s", h.ID, render(trail))
		}
		for _, r := range h.Receivers {
			for j, a := range r.Attempts {
				if a.Number != j+1 || a.Began.IsZero() {
					t.Fatalf("attempts are not numbered from 1:\n%s", render(trail))
				}
			}
		}
	}
	if trail.Settled && len(trail.Gaps) > 0 {
		t.Fatalf("settled with gaps:\n%s", render(trail))
	}
}

func TestARevisionChangesWithTheTrailOnly(t *testing.T) {
	t.Parallel()
	x := NewIndex(0)
	revision := func() uint64 {
		trail, _ := x.Trail("a")
		return trail.Revision
	}
	add := func(process string, n uint64, id string) {
		tr := Transition{At: began, Kind: Accepted, ID: id, Style: StyleCommand, Service: "s", Expected: []string{"g"}}
		x.Add(Batch{Version: 1, Process: process, Number: n, At: began, Transitions: []Transition{tr}})
	}
	add("p", 1, "a")
	first := revision()
	add("p", 2, "other")
	if got := revision(); got != first {
		t.Errorf("after a transition of another story: got revision %d, want %d as before", got, first)
	}
	add("p", 4, "other")
	gap := revision()
	if gap <= first {
		t.Errorf("after a gap: got revision %d, want more than %d", gap, first)
	}
	add("p", 3, "other")
	if got := revision(); got <= gap {
		t.Errorf("after the gap is filled: got revision %d, want more than %d", got, gap)
	}
}

func TestTheStoryThatWasSilentLongestGoesFirst(t *testing.T) {
	t.Parallel()
	x := NewIndex(100)
	for i := range 250 {
		trs := []Transition{{At: began, Kind: Accepted, ID: fmt.Sprint(i), Style: StyleCommand, Key: "k"}}
		if i > 0 {
			trs = append(trs, Transition{At: began.Add(time.Duration(i)), Kind: Received, ID: "0", Style: StyleCommand, Attempt: i})
		}
		x.Add(Batch{Version: 1, Process: "p", Number: uint64(i + 1), At: began, Transitions: trs})
	}
	got := x.Totals()
	if got.Hops != 100 || got.Stories != 100 || got.Forgotten != 150 {
		t.Errorf("got %+v; want 100 hops in 100 stories, 150 forgotten", got)
	}
	if _, ok := x.Trail("0"); !ok {
		t.Error("story 0 changed last of all and is forgotten")
	}
	if _, ok := x.Trail("100"); ok {
		t.Error("story 100 was silent for 149 others and is still there")
	}
	if trail, ok := x.Trail("k"); !ok || len(trail.Hops) != 100 {
		t.Errorf("by key: got %d hops, want the 100 that are kept", len(trail.Hops))
	}
}

func TestMemoryIsBoundedAlsoForLongStoriesAndLongTexts(t *testing.T) {
	t.Parallel()
	x := NewIndex(100)
	for i := range 3000 {
		x.Add(Batch{Version: 1, Process: "p", Number: uint64(i + 1), At: began, Transitions: []Transition{{
			At: began.Add(time.Duration(i)), Kind: Failed, ID: "same", Reason: strings.Repeat("x", MaxReasonBytes), Attempt: i,
		}}})
	}
	if got := x.Totals(); got.Bytes > 100<<10 {
		t.Errorf("one message with 3,000 failures: got %d bytes, want at most %d", got.Bytes, 100<<10)
	}
	y := NewIndex(0)
	for i := range storyHops + 5 {
		y.Add(Batch{Version: 1, Process: "p", Number: uint64(i + 1), At: began, Transitions: []Transition{{At: began, Kind: Accepted, ID: fmt.Sprint(i), Correlation: "s", Style: StyleEvent}}})
	}
	if got := y.Totals(); got.Hops != storyHops {
		t.Errorf("a story of %d messages: got %d hops kept, want %d", storyHops+5, got.Hops, storyHops)
	}
	for _, query := range []string{"s", "9999"} {
		trail, _ := y.Trail(query)
		if len(trail.Hops) != trailHops || query == "9999" && !slices.ContainsFunc(trail.Hops, func(h Hop) bool { return h.ID == query }) {
			t.Errorf("follow %s: got %d hops; want %d, with the one that was asked for", query, len(trail.Hops), trailHops)
		}
	}
	if trail, _ := y.Trail("s"); !slices.ContainsFunc(trail.Gaps, func(g string) bool { return strings.Contains(g, "more than 10000 messages") }) {
		t.Errorf("a story of %d messages: got gaps %q; want one that says so", storyHops+5, trail.Gaps)
	}
}

func TestATrailIsTheSameInBothJSONLibraries(t *testing.T) {
	t.Parallel()
	want := Trail{Query: "a", Found: FoundID, Gaps: []string{}, Hops: []Hop{{ID: "a", Receivers: []Receiver{{
		Group: "g", State: Retrying, Next: began, Attempts: []Attempt{{Number: 1, Began: began, Took: 1500 * time.Millisecond, Error: "no"}},
	}}}}}
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), `"took":1500000000`) {
		t.Errorf("got %s; want took in nanoseconds", body)
	}
	var a, b Trail
	if err := json.Unmarshal(body, &a); err != nil || !reflect.DeepEqual(a, want) {
		t.Errorf("read again: got %+v, %v; want %+v", a, err, want)
	}
	if err := stdjson.Unmarshal(body, &b); err != nil || !reflect.DeepEqual(b, want) {
		t.Errorf("read by encoding/json: got %+v, %v; want %+v", b, err, want)
	}
}

func TestCountsCountATransitionOnce(t *testing.T) {
	t.Parallel()
	x := NewIndex(0)
	done := Transition{At: began, Kind: Done, ID: "a", Address: "x.v1.a", Style: StyleCommand}
	bad := Transition{At: began, Kind: Answered, ID: "b", Address: "x.v1.b", Style: StyleCall, Reason: "no"}
	for n := range uint64(3) {
		x.Add(Batch{Version: 1, Process: "p", Number: n + 1, At: began, Transitions: []Transition{done, bad}})
	}
	want := []Counts{
		{Address: "x.v1.a", Style: StyleCommand, Done: 1, Last: began},
		{Address: "x.v1.b", Style: StyleCall, Answered: 1, Refused: 1, Last: began},
	}
	if got := x.Counts(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// fill gives x hops of one command each that was handled, in stories of their own.
func fill(x *Index, n int) (ids []string) {
	for i := range n {
		id := fmt.Sprintf("%08x-0000-7000-8000-%012x", rand.Uint32(), i)
		ids = append(ids, id)
		tr := Transition{At: began.Add(time.Duration(i) * time.Millisecond), ID: id, Style: StyleCommand, Address: "payments.v1.charge", Source: "orders", Key: fmt.Sprintf("order-%d", i), Attempt: 1, Attempts: 6}
		a, r, d := tr, tr, tr
		a.Kind, a.Service, a.Instance, a.Expected = Accepted, "orders", "orders-1", []string{"payments"}
		r.Kind, r.Service, r.Instance, r.Group = Received, "payments", "payments-1", "payments"
		d.Kind, d.Service, d.Instance, d.Group, d.Took = Done, "payments", "payments-1", "payments", time.Millisecond
		body, err := json.Marshal(Batch{Version: 1, Process: "p", Number: uint64(i + 1), At: tr.At, Transitions: []Transition{a, r, d}})
		if err != nil {
			panic(err)
		}
		b, err := ParseBatch(body) // with strings of its own, as from the wire
		if err != nil {
			panic(err)
		}
		x.Add(b)
	}
	return ids
}

func BenchmarkIndexMemoryPerHop(b *testing.B) {
	var x *Index
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		x = NewIndex(0)
		fill(x, 50_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/50_000, "bytes/hop")
	b.ReportMetric(float64(x.Totals().Bytes)/50_000, "estimated-bytes/hop")
	runtime.KeepAlive(x)
}

func BenchmarkFollow(b *testing.B) {
	x := NewIndex(0)
	ids := fill(x, DefaultHops)
	b.Run("id", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, ok := x.Trail(ids[i*7919%len(ids)]); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("key", func(b *testing.B) {
		for b.Loop() {
			if _, ok := x.Trail("order-77"); !ok {
				b.Fatal("not found")
			}
		}
	})
}

func BenchmarkIndexAdd(b *testing.B) {
	x := NewIndex(10_000)
	tr := make([]Transition, 512)
	n := uint64(0)
	for b.Loop() {
		n++
		for i := range tr {
			tr[i] = Transition{At: began, Kind: Received, ID: fmt.Sprint(n, i), Style: StyleCommand, Address: "a.v1.b", Service: "s", Instance: "i", Group: "g", Attempt: 1}
		}
		x.Add(Batch{Version: 1, Process: "p", Number: n, At: began, Transitions: tr})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*512), "ns/transition")
}
