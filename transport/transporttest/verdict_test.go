package transporttest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

// Each history is a few lines of what processes said, "PROCESS WORDS…", in the form of lanes with small numbers for the
// times, or what was done to one: "PROCESS killed TIME", "frozen TIME", "thawed TIME".
func TestAHistoryIsJudgedByWhatPromise26Says(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ lines, found string }{
		"one key in order": {`
			a begin k-0 1 0 1
			a end k-0 2
			a begin k-1 3 0 1
			a end k-1 4`, ""},
		"a message is overtaken": {`
			a begin k-1 1 0 1
			a end k-1 2
			b begin k-0 3 0 2
			b end k-0 4`, "the order in which they were sent"},
		"the time tells the order, not the hearing": {`
			b begin k-1 3 0 2
			b end k-1 4
			a begin k-0 1 0 1
			a end k-0 2`, ""},
		"one process begins again without a fault": {`
			a begin k-0 1 0 1
			a end k-0 2
			a begin k-0 3 0 1
			a end k-0 4`, "wrong order of their key"},
		"another begins again without a fault": {`
			a begin k-0 1 0 1
			a end k-0 2
			b begin k-0 3 0 2
			b end k-0 4`, "no repeats"},
		"another begins again after a kill": {`
			a begin k-0 1 0 1
			a end k-0 2
			a killed 3
			b begin k-0 4 0 2
			b end k-0 5`, ""},
		"another had begun again before the kill": {`
			a begin k-0 1 0 1
			a end k-0 2
			b begin k-0 3 0 2
			b end k-0 4
			a killed 5`, "no repeats"},
		"another begins again after a loss that was told": {`
			a begin k-0 1 0 1
			a lost k-0 2
			b begin k-0 3 0 2
			b end k-0 4`, ""},
		"two at a time": {`
			a begin k-0 1 0 1
			b begin k-1 2 0 2
			a end k-0 3
			b end k-1 4`, "one at a time"},
		"two at a time after one was frozen": {`
			a begin k-0 1 0 1
			a frozen 2
			b begin k-0 3 0 2
			b end k-0 4
			a thawed 5
			a end k-0 6`, ""},
		"a zombie": {`
			a begin k-0 1 0 0
			a frozen 2
			b begin k-0 3 0 0
			b end k-0 4
			a thawed 5
			a end k-0 6
			a begin k-1 7 1 0
			a end k-1 8`, "thawed process"},
		"a thawed process that owns the partition again": {`
			a begin k-0 1 0 1
			a frozen 2
			b begin k-0 3 0 2
			b end k-0 4
			a thawed 5
			a end k-0 6
			a begin k-1 8 7 3
			a end k-1 9`, ""},
		"a fence that does not grow": {`
			a begin k-0 1 0 2
			a end k-0 2
			b begin k-1 3 0 2
			b end k-1 4`, "larger fence"},
		"no fences": {`
			a begin k-0 1 0 0
			a end k-0 2
			b begin k-1 3 0 0
			b end k-1 4`, ""},
		"a message without an end": {`
			a begin k-0 1 0 1`, "k-0, last begun by a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judged(c.lines)
			if c.found == "" && got != "" || !strings.Contains(got, c.found) || strings.Count(got, "; want") > 1 {
				t.Errorf("history%s\ngot %q; want one finding with %q, or none if that is empty", c.lines, got, c.found)
			}
		})
	}
}

// judged are the findings about a history in which everything that is heard of was confirmed.
func judged(lines string) string {
	h, s := newHistory(transport.Channel{Partitions: 1}), newScene(26, Options{})
	members := map[string]*member{}
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		words := strings.Fields(line)
		m := members[words[0]]
		if m == nil {
			m = &member{name: words[0]}
			members[m.name] = m
			h.members = append(h.members, m)
		}
		n, _ := strconv.ParseInt(words[len(words)-1], 10, 64)
		switch at := time.Unix(0, n); words[1] {
		case "killed":
			m.killed = at
		case "frozen":
			m.frozen = at
		case "thawed":
			m.thawed = at
		default:
			e := &transport.Envelope{ID: words[2], Key: "k", Source: "k"}
			h.log.sending(e)
			h.log.sent([]*transport.Envelope{e}, []transport.Receipt{{}})
			h.hear(s, m, words[1:])
		}
	}
	h.verify(s)
	return summarize(s.found)
}

func TestAnIDOfTheSuiteSaysItsSourceAndNumber(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"k0", "k-with-dash"} {
		if source, n := cut(message(transport.Channel{}, key, key, 17).ID); source != key || n != 17 {
			t.Errorf("cut = %q, %d; want %q, 17", source, n, key)
		}
	}
	if source, n := cut("other"); source != "" || n != 0 {
		t.Errorf("cut of another ID = %q, %d; want nothing", source, n)
	}
}
