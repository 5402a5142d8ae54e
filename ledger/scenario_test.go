package ledger

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the trails in testdata")

// A scenario is a text of commands, one a line. Indented lines under a batch are its transitions. Lines that begin
// with "|" are what the command before them answers; -update rewrites them.
//
//	message ID STYLE ADDRESS [from=SERVICE] [key=] [cause=] [story=] [trace=]    fields of each transition of ID
//	batch PROCESS NUMBER TIME
//	  TIME KIND ID [at=SERVICE/INSTANCE] [group=] [copy=] [try=N/OF] [took=] [until=] [by=] [expects=A,B] [reason="…"]
//	last PROCESS NUMBER TIME      the batch of an orderly end
//	gone INSTANCE TIME
//	unreadable TIME
//	follow QUERY
//
// A time is one of the day 2026-01-02; expects=- means that nobody had subscribed.
type scenario struct {
	t        *testing.T
	messages map[string]Transition
	events   []func(*Index)
}

func TestATrailTellsWhatTheTransitionsSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios in testdata: got %v, %v; want some", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("%s answers otherwise now. Got:\n%s\nwant:\n%s\nIf it is right now: go test ./ledger -update", file, got, text)
			}
		})
	}
}

// play is the text with the answers that the Index gives.
func play(t *testing.T, text string) string {
	t.Helper()
	s := &scenario{t: t, messages: make(map[string]Transition)}
	var out strings.Builder
	var open *Batch
	flush := func() {
		if b := open; b != nil {
			s.events = append(s.events, func(x *Index) { x.Add(*b) })
			open = nil
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") {
			continue
		}
		out.WriteString(line)
		words := split(t, line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if strings.HasPrefix(line, " ") {
			open.Transitions = append(open.Transitions, s.transition(words))
			continue
		}
		flush()
		switch words[0] {
		case "message":
			s.message(words[1:])
		case "batch":
			open = s.batch(words)
		case "last":
			open = s.batch(words)
			open.Last = true
		case "gone":
			s.events = append(s.events, func(x *Index) { x.Gone(words[1], clock(t, words[2])) })
		case "unreadable":
			s.events = append(s.events, func(x *Index) { x.Unreadable(clock(t, words[1])) })
		case "follow":
			out.WriteString(s.follow(words[1]))
		default:
			t.Fatalf("line %q: unknown command", line)
		}
	}
	return out.String()
}

// follow answers from what came so far: in order, and then in reverse with everything twice, which must not matter.
func (s *scenario) follow(query string) string {
	s.t.Helper()
	tell := func(events []func(*Index)) string {
		x := NewIndex(0)
		for _, e := range events {
			e(x)
		}
		trail, ok := x.Trail(query)
		if !ok {
			return "| unknown\n"
		}
		return render(&trail)
	}
	backwards := slices.Clone(s.events)
	slices.Reverse(backwards)
	once := tell(s.events)
	if again := tell(append(backwards, s.events...)); again != once && !strings.Contains(once, "could not be read") {
		s.t.Errorf("follow %s: backwards and twice got:\n%s\nwant, as in order:\n%s", query, again, once)
	}
	return once
}

func render(t *Trail) string {
	var b strings.Builder
	settled := "open"
	if t.Settled {
		settled = "settled"
	}
	if t.Concluded() && !t.Settled {
		settled = "open, but what was asked for is over"
	}
	fmt.Fprintf(&b, "| %s, found by %s\n", settled, t.Found)
	for _, h := range t.Hops {
		fmt.Fprintf(&b, "| %s%s %s %s", strings.Repeat("  ", h.Depth), h.ID, h.Style, h.Address)
		for _, part := range [][2]string{{" from ", h.Source}, {" key ", h.Key}, {" accepted ", hour(h.Accepted)}} {
			if part[1] != "" {
				b.WriteString(part[0] + part[1])
			}
		}
		if h.Nobody {
			b.WriteString(" - nobody subscribes")
		}
		b.WriteString("\n")
		for _, r := range h.Receivers {
			renderReceiver(&b, strings.Repeat("  ", h.Depth+2), r)
		}
	}
	for _, g := range t.Gaps {
		fmt.Fprintf(&b, "| gap: %s\n", g)
	}
	return b.String()
}

func renderReceiver(b *strings.Builder, indent string, r Receiver) {
	fmt.Fprintf(b, "| %s%s %s", indent, cmp.Or(r.Group, "?"), r.State)
	if len(r.Attempts) > 0 {
		fmt.Fprintf(b, ", attempt %d", len(r.Attempts))
	}
	if r.Of > 0 {
		fmt.Fprintf(b, " of %d", r.Of)
	}
	if r.Redriven > 0 {
		fmt.Fprintf(b, ", redriven %d", r.Redriven)
	}
	if !r.Next.IsZero() {
		fmt.Fprintf(b, ", next %s", hour(r.Next))
	}
	if r.Reason != "" {
		fmt.Fprintf(b, ": %s", r.Reason)
	}
	b.WriteString("\n")
	for _, a := range r.Attempts {
		fmt.Fprintf(b, "| %s  %d. %s", indent, a.Number, hour(a.Began))
		for _, part := range [][2]string{{" copy ", a.Copy}, {" on ", a.Instance}, {" redriven by ", a.By}, {": ", a.Error}} {
			if part[1] != "" {
				b.WriteString(part[0] + part[1])
			}
		}
		if a.Took > 0 {
			fmt.Fprintf(b, " (%v)", a.Took)
		}
		b.WriteString("\n")
	}
}

func (s *scenario) message(words []string) {
	m := Transition{ID: words[0], Style: words[1], Address: words[2]}
	s.fill(&m, words[3:])
	s.messages[m.ID] = m
}

func (s *scenario) batch(words []string) *Batch {
	s.t.Helper()
	n, err := strconv.ParseUint(words[2], 10, 64)
	if err != nil {
		s.t.Fatalf("batch %v: %v", words, err)
	}
	return &Batch{Version: Format, Process: words[1], Number: n, At: clock(s.t, words[3])}
}

func (s *scenario) transition(words []string) Transition {
	s.t.Helper()
	m, ok := s.messages[words[2]]
	if !ok {
		s.t.Fatalf("transition %v: no message %s", words, words[2])
	}
	m.At, m.Kind = clock(s.t, words[0]), Kind(words[1])
	if _, ok := kindOf(m.Kind); !ok {
		s.t.Fatalf("transition %v: unknown kind", words)
	}
	s.fill(&m, words[3:])
	return m
}

func (s *scenario) fill(m *Transition, words []string) {
	s.t.Helper()
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "from":
			m.Source = value
		case "key":
			m.Key = value
		case "cause":
			m.Causation = value
		case "story":
			m.Correlation = value
		case "trace":
			m.Trace = value
		case "at":
			m.Service, m.Instance, _ = strings.Cut(value, "/")
		case "group":
			m.Group = value
		case "copy":
			m.Copy = value
		case "try":
			n, of, _ := strings.Cut(value, "/")
			m.Attempt, _ = strconv.Atoi(n)
			m.Attempts, _ = strconv.Atoi(of)
		case "took":
			m.Took, _ = time.ParseDuration(value)
		case "until":
			m.Until = clock(s.t, value)
		case "by":
			m.By = value
		case "reason":
			m.Reason = value
		case "expects":
			m.Expected = []string{}
			if value != "-" {
				m.Expected = strings.Split(value, ",")
			}
		default:
			s.t.Fatalf("unknown field %q", w)
		}
	}
}

// split divides a line at spaces outside quotes, which it removes.
func split(t *testing.T, line string) (words []string) {
	t.Helper()
	quoted := false
	for _, w := range strings.FieldsFunc(strings.TrimSpace(line), func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		words = append(words, strings.ReplaceAll(w, `"`, ""))
	}
	return words
}

func clock(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05.999", "2026-01-02 "+s)
	if err != nil {
		t.Fatalf("time %q: %v", s, err)
	}
	return at
}

func hour(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("15:04:05.000")
}
