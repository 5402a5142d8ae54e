package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// story is what workers say, a line each: "NAME: LINE"; times are seconds.
func story(t *testing.T, lines string) *book {
	t.Helper()
	b := newBook()
	workers := make(map[string]*process)
	for line := range strings.Lines(lines) {
		name, said, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		if workers[name] == nil {
			workers[name] = &process{name: name}
		}
		p, words := workers[name], strings.Fields(said)
		for i, w := range words[1:] {
			if seconds, ok := strings.CutSuffix(w, "s"); ok {
				words[i+1] = seconds + "000000000"
			}
		}
		switch words[0] {
		case "fault":
			var from, until int64
			if _, err := fmt.Sscan(words[1]+" "+words[2], &from, &until); err != nil {
				t.Fatal(err)
			}
			f := fault{what: "a fault", from: time.Unix(0, from), until: time.Unix(0, until)}
			if name != "broker" {
				f.of = p
			}
			b.note(f)
		default:
			b.hear(p, strings.Join(words, " "))
		}
	}
	return b
}

const sent = `
p: sending l 1 1s 0
p: stored l 1 1s
p: sending l 2 2s 0
p: stored l 2 2s
`

func TestTheVerdictComesFromWhatPublishersAndHandlersSay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines string
		want  string // a part of the one problem; "" = none
	}{
		"all is well": {sent + `
			a: begin l 1 3s
			a: end l 1 4s
			b: begin l 2 5s
			b: end l 2 6s`, ""},
		"a message is lost": {sent + `
			a: begin l 1 3s
			a: end l 1 4s
			a: begin l 2 5s`, "1 confirmed messages were never handled: l-2"},
		"a message that failed is not handled": {sent + `
			a: begin l 1 3s
			a: end l 1 4s
			a: begin l 2 5s
			a: failed l 2 6s`, "never handled: l-2"},
		"a message is invented": {sent + `
			a: begin l 1 3s
			a: end l 1 4s
			a: begin l 2 5s
			a: end l 2 6s
			a: begin l 3 7s
			a: end l 3 8s`, "nobody sent: l-3"},
		"a refused one is handled": {`
			p: sending l 1 1s 0
			p: refused l 1 2s
			a: begin l 1 3s
			a: end l 1 4s`, "told are not stored: l-1"},
		"one whose outcome is unknown may be handled or not": {`
			p: sending l 1 1s 0
			p: sending m 1 1s 0
			a: begin l 1 3s
			a: end l 1 4s`, ""},
		"the order is not that of sending": {sent + `
			a: begin l 2 3s
			a: end l 2 4s
			a: begin l 1 5s
			a: end l 1 6s`, "after a later one of their lane: l-1 by a at 4.000s after 2"},
		"a repeat without a fault": {sent + `
			a: begin l 1 3s
			a: end l 1 4s
			a: begin l 2 5s
			a: end l 2 6s
			b: begin l 2 7s
			b: end l 2 8s`, "no fault touched them: l-2 by b at 6.000s after a at 4.000s"},
		"a repeat after a fault": {sent + `
			a: begin l 1 3s
			a: end l 1 4s
			a: begin l 2 5s
			a: end l 2 6s
			broker: fault 6s 7s
			b: begin l 2 7s
			b: end l 2 8s`, ""},
		"a repeat long after a fault": {sent + `
			broker: fault 0s 0s
			a: begin l 1 3s
			a: end l 1 4s
			p: sending l 3 100s 0
			p: stored l 3 100s
			a: begin l 2 5s
			a: end l 2 6s
			a: begin l 3 101s
			a: end l 3 102s
			b: begin l 3 103s
			b: end l 3 104s`, "no fault touched them: l-3"},
		"a failed attempt is followed by another": {sent + `
			a: begin l 1 3s
			a: failed l 1 4s
			a: begin l 1 5s
			a: end l 1 6s
			a: begin l 2 7s
			a: end l 2 8s`, ""},
		"two processes in one lane": {sent + `
			a: begin l 1 3s
			b: begin l 2 4s
			a: end l 1 5s
			b: end l 2 6s`, "no fault touched that one: l-2 by b at 3.000s beside 1 by a at 2.000s"},
		"two processes in one lane, the first frozen": {sent + `
			a: begin l 1 3s
			a: fault 3s 5s
			b: begin l 2 4s
			a: end l 1 5s
			b: end l 2 6s`, ""},
		"two processes in one lane, the second frozen": {sent + `
			a: begin l 1 3s
			b: fault 3s 5s
			b: begin l 2 4s
			a: end l 1 5s
			b: end l 2 6s`, "no fault touched that one"},
		"a scheduled message comes early": {`
			p: sending l 1 1s 9s
			p: stored l 1 2s
			a: begin l 1 8s
			a: end l 1 8s`, "before their time: l-1 by 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := story(t, test.lines).judge(true).problems()
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("problems = %q; want %q alone", got, test.want)
			}
		})
	}
}

func TestLatenessIsJudgedWhereNoFaultExplainsIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines             string
		lateness, settled []int // seconds
		latest            int
	}{
		"no fault": {"a: begin l 1 103s", []int{3}, []int{3}, 3},
		"due while nothing flowed": {`
			broker: fault 99s 104s
			a: begin l 1 105s`, nil, nil, 5},
		"due in the last moment before": {`
			broker: fault 101s 104s
			a: begin l 1 105s`, nil, nil, 5},
		"due before, and late already": {`
			broker: fault 102s 104s
			a: begin l 1 105s`, []int{5}, nil, 5},
		"begun in the last moment before": {`
			broker: fault 101s 104s
			a: begin l 1 100s`, []int{0}, []int{0}, 0},
		"due when things went on for a short time": {`
			broker: fault 90s 95s
			a: begin l 1 102s`, []int{2}, nil, 2},
		"begun again after a fault": {`
			a: begin l 1 101s
			broker: fault 110s 115s
			b: begin l 1 120s`, []int{1}, []int{1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := story(t, "p: sending l 1 1s 100s\np: stored l 1 2s\n"+test.lines).judge(false)
			lateness, settled, latest := seconds(test.lateness...), seconds(test.settled...), seconds(test.latest)[0]
			if !slices.Equal(j.lateness, lateness) || !slices.Equal(j.settled, settled) || j.latest != latest {
				t.Errorf("lateness = %v, %v once all goes on, at the most %v; want %v, %v, %v",
					j.lateness, j.settled, j.latest, lateness, settled, latest)
			}
		})
	}
}

func seconds(all ...int) (durations []time.Duration) {
	for _, n := range all {
		durations = append(durations, time.Duration(n)*time.Second)
	}
	return durations
}

func TestALineThatNobodyUnderstandsIsAProblem(t *testing.T) {
	t.Parallel()
	b := story(t, "a: dances l 1 1s\na: begin l x 1s\n")
	if len(b.wrong) != 2 {
		t.Errorf("wrong = %q; want both lines", b.wrong)
	}
}

func TestDeadLettersAreComparedWithWhatCannotBeHandled(t *testing.T) {
	t.Parallel()
	got := compare(map[string]int{"lost": 3, "short": 3, "fine": 1, "twice": 1}, map[string]int{"short": 2, "fine": 1, "twice": -1, "good": 3})
	want := []string{"good was good", "lost: 0 attempts, want 3", "short: 2 attempts, want 3", "twice: -1 attempts, want 1"}
	if !slices.Equal(got, want) {
		t.Errorf("compare = %q; want %q", got, want)
	}
}

func TestTheMixtureIsTheSameWheneverItIsAsked(t *testing.T) {
	t.Parallel()
	count := make(map[kind]int)
	for i := range 1000 {
		k := kindOf(load{Lane: "mixed0.1", Number: i + 1})
		if again := kindOf(load{Lane: "mixed0.1", Number: i + 1}); again != k {
			t.Fatalf("kindOf(%d) = %q, and then %q", i+1, k, again)
		}
		count[k]++
	}
	want := map[kind]int{good: 978, poison: 10, slow: 10, oversize: 1, stranger: 1}
	for k, n := range want {
		if count[k] != n {
			t.Errorf("%d of 1000 are %q; want %d", count[k], k, n)
		}
	}
}
