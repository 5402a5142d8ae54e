package shop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/parley-io/parley"
)

// Journal is a log outside of Parley: each service appends what was confirmed to it and what it handled, so that the
// two can be compared whatever Parley itself says. A nil Journal writes nothing. Safe for concurrent use.
type Journal struct{ file *os.File }

// OpenJournal opens DIR/SERVICE.log for appending.
func OpenJournal(dir, service string) (*Journal, error) {
	if dir == "" {
		return nil, nil
	}
	f, err := os.OpenFile(filepath.Join(dir, service+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal of %s: %w", service, err)
	}
	return &Journal{f}, nil
}

// Close closes the file.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// Confirmed notes that a message is the network's responsibility from here on.
func (j *Journal) Confirmed(style parley.Style, address string, id parley.MessageID) error {
	return j.line("confirmed", string(style), address, string(id))
}

// Handled notes that a group (a dash for a command's one) has done its work for a message.
func (j *Journal) Handled(style parley.Style, address, group string, id parley.MessageID) error {
	return j.line("handled", string(style), address, string(id), group)
}

// Called notes how a call ended, "ok" or a code.
func (j *Journal) Called(address, outcome string) error {
	return j.line("called", "call", address, outcome)
}

// line appends with one write, which the kernel does not interleave with others.
func (j *Journal) line(words ...string) error {
	if j == nil {
		return nil
	}
	if _, err := j.file.WriteString(strings.Join(words, " ") + "\n"); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
