package main

import "testing"

func TestATransitionThatTheCollectorDoesNotHaveIsADrop(t *testing.T) {
	full := figures{Count: 1990, Before: 10, Took: 1e9, Recorded: 6000, Collected: 6000}
	for _, c := range []struct {
		name   string
		change func(*figures)
		want   string
	}{
		{"all are there", func(*figures) {}, "target ledger-drops 0 0 ok"},
		{"some were recorded and not collected", func(f *figures) { f.Collected = 5990 }, "target ledger-drops 10 0 short"},
		{"some were not even recorded", func(f *figures) { f.Recorded, f.Collected = 5000, 5000 }, "target ledger-drops 1000 0 short"},
		{"a retry records more", func(f *figures) { f.Recorded, f.Collected = 6002, 6002 }, "target ledger-drops 0 0 ok"},
		{"too slow", func(f *figures) { f.Took = 2e9 }, "target ledger-drops 0 0 short (only 995 messages/s were sent, 2000 were wanted)"},
	} {
		f, r := full, report{}
		c.change(&f)
		r.drops("ledger-drops", f)
		if got := r.Targets[0].String(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
