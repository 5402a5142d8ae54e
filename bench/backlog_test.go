package main

import "testing"

func TestAProcessThatFallsBehindHasALimit(t *testing.T) {
	for _, c := range []struct {
		name       string
		sent, left int
		grown      backlogFigures
		want       string
	}{
		{"small", 300_100, 100, backlogFigures{Highest: 64}, "target backlog-rss 64 64 ok"},
		{"it grows", 300_100, 100, backlogFigures{Highest: 64.5}, "target backlog-rss 64.5 64 short"},
		{"it keeps up", 300_100, 101, backlogFigures{Highest: 1}, "target backlog-rss 1 64 short (only 299999 messages behind, 300000 were wanted)"},
		{"there is no /proc", 300_100, 100, backlogFigures{At: waitingFigures{Heap: 70}}, "target backlog-rss 70 64 short"},
	} {
		var r report
		r.backlog("backlog-rss", figures{Count: c.sent, Took: 1e9}, figures{Count: c.left, Backlog: c.grown})
		if got := r.Targets[0].String(); got != c.want {
			t.Errorf("%s: got %q; want %q", c.name, got, c.want)
		}
	}
}
