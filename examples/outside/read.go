package outside

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parley-io/parley"
)

// Story is what the logs of a directory say.
type Story struct {
	Called     map[Call]int // how many calls ended how
	Confirmed  []Message    // each once, in the order of the logs
	Handled    map[Receipt]int
	Operations map[parley.MessageID]*Operation
}

// Call is an address and how a call to it has ended.
type Call struct{ Address, Outcome string }

// Message is a command or event that the network took responsibility for.
type Message struct {
	Style   parley.Style
	Address string
	ID      parley.MessageID
}

// Receipt is a message and the group that has done its work for it; a command has no group.
type Receipt struct {
	ID    parley.MessageID
	Group string
}

// Operation is what is known of one.
type Operation struct {
	ID       parley.MessageID
	Address  string
	Started  bool     // its start was confirmed
	Expected string   // its outcome; "" = nobody said
	Undos    []string // those that must run
	Ended    []string // its outcomes, each once; one, if all is well
	Steps    []Step   // begins and ends of attempts, in order
}

// Step is the begin or the end of an attempt of a step.
type Step struct {
	Name string
	End  bool
}

// Read reads the logs in a directory. A line that it does not understand is an error, but for the last one of a file,
// which may be incomplete.
func Read(dir string) (*Story, error) {
	s := &Story{Called: make(map[Call]int), Handled: make(map[Receipt]int), Operations: make(map[parley.MessageID]*Operation)}
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	confirmed := make(map[parley.MessageID]bool)
	for _, file := range files {
		b, err := os.ReadFile(file) //nolint:gosec // from the list above
		if err != nil {
			return nil, fmt.Errorf("outside log: %w", err)
		}
		for line := range strings.Lines(string(b)) {
			if !strings.HasSuffix(line, "\n") {
				break // being written
			}
			if !s.add(strings.Fields(line), confirmed) {
				return nil, fmt.Errorf("outside log %s: line %q is not understood", file, line)
			}
		}
	}
	return s, nil
}

// Lost are the confirmed messages that a receiver of theirs has not handled, one for each of those; groups are those that
// an event is for.
func (s *Story) Lost(groups func(address string) []string) []Receipt {
	var lost []Receipt
	for _, m := range s.Confirmed {
		receivers := []string{""}
		if m.Style == parley.StyleEvent {
			receivers = groups(m.Address)
		}
		for _, group := range receivers {
			if r := (Receipt{m.ID, group}); s.Handled[r] == 0 {
				lost = append(lost, r)
			}
		}
	}
	return lost
}

// add takes the words of a line.
func (s *Story) add(words []string, confirmed map[parley.MessageID]bool) bool {
	if len(words) == 0 {
		return false
	}
	switch what, words := words[0], words[1:]; {
	case what == "called" && len(words) == 3:
		s.Called[Call{words[1], words[2]}]++
	case what == "confirmed" && len(words) == 3:
		m := Message{Style: parley.Style(words[0]), Address: words[1], ID: parley.MessageID(words[2])}
		if !confirmed[m.ID] {
			confirmed[m.ID] = true
			s.Confirmed = append(s.Confirmed, m)
		}
	case what == "handled" && len(words) == 4:
		r := Receipt{parley.MessageID(words[2]), words[3]}
		if parley.Style(words[0]) == parley.StyleCommand {
			r.Group = ""
		}
		s.Handled[r]++
	case what == "expected" && len(words) >= 3:
		o := s.operation(words[1])
		o.Address, o.Expected, o.Undos = words[0], words[2], words[3:]
	case what == "started" && len(words) == 2:
		o := s.operation(words[1])
		o.Address, o.Started = words[0], true
	case (what == "step-begin" || what == "step-end") && len(words) == 2:
		o := s.operation(words[0])
		o.Steps = append(o.Steps, Step{Name: words[1], End: what == "step-end"})
	case what == "ended" && len(words) == 2:
		if o := s.operation(words[0]); !slices.Contains(o.Ended, words[1]) {
			o.Ended = append(o.Ended, words[1])
		}
	default:
		return false
	}
	return true
}

func (s *Story) operation(id string) *Operation {
	o := s.Operations[parley.MessageID(id)]
	if o == nil {
		o = &Operation{ID: parley.MessageID(id)}
		s.Operations[o.ID] = o
	}
	return o
}
