package shop

import (
	"errors"
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
	path := filepath.Join(dir, service+".log")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user says where
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

// Called notes how a call ended, "ok" or the code of its error, and returns that error.
func (j *Journal) Called(address string, err error) error {
	outcome := "ok"
	if err != nil {
		outcome = string(parley.CodeOf(err))
	}
	return errors.Join(err, j.line("called", string(parley.StyleCall), address, outcome))
}

// line appends with one write, which the kernel neither interleaves with others nor leaves half done when the process
// is killed.
func (j *Journal) line(words ...string) error {
	if j == nil {
		return nil
	}
	if _, err := j.file.WriteString(strings.Join(words, " ") + "\n"); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
