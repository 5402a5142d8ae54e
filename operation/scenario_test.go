package operation

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/scenarios")

// A scenario tells a machine what happens, one event a line. Lines that begin with "|" are what it wants done; -update
// rewrites them.
//
//	operation [timeout=2h] [strict] [unknown]       a new one in an empty journal; unknown = it may have run before
//	TIME run                                        a run begins, from what is durable
//	TIME ask [go] KIND NAME [#] [attempts=] [within=]   the code asks for a step (go: beside it)
//	TIME get KEY                                    the code waits for a step that runs beside it
//	TIME undo NAME                                  the code declares an undo
//	TIME return [ERROR]     TIME quit     TIME panic    the code ends
//	TIME end KEY [fail=ERROR | transient | final | again=1m | after=1m | unencodable]   an attempt ends
//	TIME durable            everything that is being written is
//	TIME lose               what is being written is not: the process is killed
//	TIME signal NAME        TIME cancel [REASON]    TIME retry    somebody wants something; written at once
//	TIME stop     TIME fence     TIME tick
//
// A time is what has passed since the acceptance. What the machine wants to write is written at once, but while the code
// is thinking; "held" says so.
type scenario struct {
	t       *testing.T
	m       *machine
	setting setting
	stored  Stored
	flights []flight // written, not yet durable
	out     strings.Builder
	over    bool // said already
	wake    time.Time
}

type flight struct {
	n       int
	changes []Change
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestTheMachineDecidesAsTheScenariosSay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: got %v, %v; want some", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &scenario{t: t}
			for line := range strings.Lines(string(text)) {
				s.line(line)
			}
			if got := s.out.String(); *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("%s decides otherwise now. Got:\n%s\nwant:\n%s\nIf it is right now: go test ./operation -run Scenarios -update", file, got, text)
			}
		})
	}
}

func (s *scenario) line(line string) {
	s.t.Helper()
	if strings.HasPrefix(line, "|") {
		return
	}
	s.out.WriteString(line)
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(line, "#") {
		return
	}
	if words[0] == "operation" {
		s.operation(words[1:])
		return
	}
	d, err := time.ParseDuration(words[0])
	if err != nil || len(words) < 2 {
		s.t.Fatalf("line %q: want a time and an event", line)
	}
	now := noon.Add(d)
	s.event(now, words[1], words[2:])
	s.show(now)
}

func (s *scenario) operation(words []string) {
	*s = scenario{t: s.t, out: s.out, setting: setting{Service: "loans", Known: true, Jitter: func() float64 { return 1 }}}
	s.stored.Record = Record{ID: "1", Address: "loans.v1.decide", Version: 1, Status: Running, Created: noon, Updated: noon, Revision: 1}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "timeout":
			s.stored.Deadline = noon.Add(s.duration(value))
		case "strict":
			s.setting.Strict = true
		case "unknown":
			s.setting.Known = false
		default:
			s.t.Fatalf("operation %q: unknown word", w)
		}
	}
}

func (s *scenario) event(now time.Time, name string, words []string) {
	s.t.Helper()
	m := s.m
	rest := strings.Join(words, " ")
	switch name {
	case "run":
		s.m = newMachine(copyOf(s.stored), s.setting)
		s.over, s.flights, s.wake = false, nil, time.Time{}
		s.m.start(now)
	case "ask":
		s.ask(now, words)
	case "get":
		m.await(now, s.step(words[0]))
	case "undo":
		m.declare(now, words[0])
	case "return":
		if rest == "" {
			m.returned(now, []byte("out"), nil)
		} else {
			m.returned(now, nil, errors.New(rest))
		}
	case "quit":
		m.exited(now, "")
	case "panic":
		m.exited(now, "the code panicked: "+rest)
	case "end":
		m.attempted(now, s.step(words[0]), s.verdict(words[1:]))
	case "durable":
		s.durable(now)
	case "lose":
		s.flights, s.m = nil, nil
		s.setting.Known = false
	case "signal":
		m.tell(now, Signal{ID: fmt.Sprint("g", now.Sub(noon)), Name: words[0], Body: []byte("body"), At: now})
	case "cancel":
		m.wish(rest)
	case "retry":
		s.m = newMachine(copyOf(s.stored), s.setting)
		s.m.retry()
	case "stop", "fence":
		m.stop(now, name == "fence")
	case "tick":
		m.settle(now)
	default:
		s.t.Fatalf("unknown event %q", name)
	}
}

func (s *scenario) ask(now time.Time, words []string) {
	wait := true
	if words[0] == "go" {
		wait, words = false, words[1:]
	}
	t := Task{Kind: words[0], Name: words[1]}
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "#":
			t.Numbered = true
		case "attempts":
			t.Attempts, _ = strconv.Atoi(value)
		case "within":
			t.Within = s.duration(value)
		default:
			s.t.Fatalf("ask %q: unknown word", w)
		}
	}
	s.m.ask(now, t, wait)
}

func (s *scenario) verdict(words []string) verdict {
	if len(words) == 0 {
		return judge([]byte("ok"), nil)
	}
	name, value, _ := strings.Cut(words[0], "=")
	busy := &transport.Error{Code: transport.Unavailable, Message: "busy"}
	switch name {
	case "fail":
		return judge(nil, errors.New(value))
	case "transient":
		return judge(nil, busy)
	case "final":
		return judge(nil, Final(busy))
	case "again":
		return judge(nil, Again(s.duration(value)))
	case "after":
		return judge(nil, After(errors.New("later"), s.duration(value)))
	case "unencodable":
		return judge(nil, Unencodable(errors.New("a channel")))
	}
	s.t.Fatalf("end %q: unknown word", words)
	return verdict{}
}

// durable lets the journal have what is being written, and tells the machine.
func (s *scenario) durable(now time.Time) {
	for _, f := range s.flights {
		for _, c := range f.changes {
			switch {
			case c.Update != nil:
				s.stored.Record = *c.Update
			case c.Entry != nil:
				s.stored.Entries = slices.DeleteFunc(s.stored.Entries, func(e Entry) bool { return e.Key == c.Entry.Key })
				s.stored.Entries = append(s.stored.Entries, *c.Entry)
				slices.SortFunc(s.stored.Entries, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
			case c.Signal != nil:
				g := *c.Signal
				g.N = 1
				for _, x := range s.stored.Signals {
					if x.Name == g.Name {
						g.N++
					}
				}
				s.stored.Signals = append(s.stored.Signals, g)
				s.m.signaled(now, g)
			}
		}
		s.m.durable(now, f.n)
	}
	s.flights = nil
}

// show prints what the machine wants done.
func (s *scenario) show(now time.Time) {
	m := s.m
	if m == nil {
		return
	}
	o := m.orders()
	if o.cancel != nil && m.running > 0 {
		s.printf("contexts end: %v", o.cancel)
	}
	for _, b := range o.begin {
		s.printf("begin %s, attempt %d", b.Key, b.Attempt)
	}
	if o.goOn {
		s.printf("the code goes on%s", told(m.awaited))
	}
	if o.quit {
		s.printf("the code quits")
	}
	if m.unsaved() && m.code == thinking {
		s.printf("held")
	} else if n, changes, _ := m.flush(now); n > 0 {
		s.flights = append(s.flights, flight{n, changes})
		for _, c := range changes {
			s.printf("write %d: %s", n, written(c))
		}
	}
	if m.over && !s.over {
		s.over = true
		s.printf("over: %s", [...]string{"it is done", "it is done", "begin again", "rest", "park", "stop", "dead"}[m.end])
	}
	if !m.wake.Equal(s.wake) {
		s.wake = m.wake
		if !m.wake.IsZero() {
			s.printf("wake at %v", m.wake.Sub(noon))
		}
	}
}

func told(s *step) string {
	switch {
	case s == nil:
		return ""
	case s.Error != nil:
		return fmt.Sprintf(": %s = %v", s.Key, s.Error)
	}
	return fmt.Sprintf(": %s = %q", s.Key, s.Output)
}

func written(c Change) string {
	switch {
	case c.Entry != nil:
		e := c.Entry
		s := fmt.Sprintf("%d %s", e.Seq, e.Key)
		if e.Attempt > 0 {
			s += fmt.Sprintf(", attempt %d", e.Attempt)
		}
		if e.Final() && e.Error == nil {
			s += fmt.Sprintf(", result %q", e.Output)
		} else if e.Final() {
			s += ", failed"
		}
		if e.Error != nil {
			s += fmt.Sprintf(", %v", e.Error)
		}
		if !e.Next.IsZero() {
			s += fmt.Sprintf(", until %v", e.Next.Sub(noon))
		}
		return s
	case c.Signal != nil:
		return "signal " + c.Signal.Name
	default:
		r := c.Update
		s := string(r.Status)
		for _, part := range [][2]string{{"error", fmt.Sprint(r.Error)}, {"parked", r.Parked}, {"cancel", r.Cancel}, {"undo", strings.Join(r.Undo, " ")}} {
			if part[1] != "" && part[1] != "<nil>" {
				s += fmt.Sprintf(", %s: %s", part[0], part[1])
			}
		}
		if r.WakeAt.Equal(Never) {
			s += ", wake never"
		} else if !r.WakeAt.IsZero() {
			s += fmt.Sprintf(", wake %v", r.WakeAt.Sub(noon))
		}
		return s
	}
}

func (s *scenario) printf(format string, args ...any) {
	fmt.Fprintf(&s.out, "| "+format+"\n", args...)
}

// step is the one of a key that is open, or was asked for.
func (s *scenario) step(key string) *step {
	for _, x := range s.m.open {
		if x.Key == key {
			return x
		}
	}
	x := s.m.keys[key]
	if x == nil {
		s.t.Fatalf("no step %q", key)
	}
	return x
}

func (s *scenario) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func copyOf(s Stored) Stored {
	s.Entries, s.Signals = slices.Clone(s.Entries), slices.Clone(s.Signals)
	return s
}
