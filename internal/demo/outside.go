package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/parley-io/parley"

	"github.com/parley-io/parley/examples/shop/storefront"
)

// Outside is what the outside logs say, whatever Parley itself says.
type Outside struct {
	Called    map[string]int // how many calls ended how: "ok", or a code
	Confirmed []Confirmed    // each message once, in the order of the logs
	Handled   map[Handled]int
	Joined    bool // the late joiner has: it is to handle the whole history
}

// Confirmed is a message that the network took responsibility for.
type Confirmed struct {
	Style   parley.Style
	Address string
	ID      parley.MessageID
}

// Handled is a message and the group that has done its work for it; a command has no group.
type Handled struct {
	ID    parley.MessageID
	Group string
}

// ReadOutside reads the logs in a directory. A line that it does not understand is an error.
func ReadOutside(dir string) (*Outside, error) {
	o := &Outside{Called: make(map[string]int), Handled: make(map[Handled]int)}
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	seen := make(map[parley.MessageID]bool)
	for _, file := range files {
		b, err := os.ReadFile(file) //nolint:gosec // from the list above
		if err != nil {
			return nil, fmt.Errorf("outside log: %w", err)
		}
		for line := range strings.Lines(string(b)) {
			if !strings.HasSuffix(line, "\n") {
				break // being written
			}
			if !o.add(strings.Fields(line), seen) {
				return nil, fmt.Errorf("outside log %s: line %q is not understood", file, line)
			}
		}
	}
	return o, nil
}

// Receivers are the groups that a message is for; a command's one is "".
func (o *Outside) Receivers(c Confirmed) []string {
	switch {
	case c.Style == parley.StyleCommand:
		return []string{""}
	case c.Address == storefront.OrderPlaced.Address():
		return []string{"warehouse", "mail", "fraud"}
	case c.Address == storefront.Sold.Address() && o.Joined:
		return []string{"analytics"}
	}
	return nil
}

// Lost are the messages that were confirmed and that a receiver of theirs has not handled, one for each of those.
func (o *Outside) Lost() []Handled {
	var lost []Handled
	for _, c := range o.Confirmed {
		for _, group := range o.Receivers(c) {
			if h := (Handled{c.ID, group}); o.Handled[h] == 0 {
				lost = append(lost, h)
			}
		}
	}
	return lost
}

// Twice is how often something was done that had been done already.
func (o *Outside) Twice() (n int) {
	for _, times := range o.Handled {
		n += times - 1
	}
	return n
}

// add takes a line: "called call ADDRESS OUTCOME", "confirmed STYLE ADDRESS ID" or "handled STYLE ADDRESS ID GROUP".
func (o *Outside) add(words []string, seen map[parley.MessageID]bool) bool {
	switch {
	case len(words) == 4 && words[0] == "called":
		o.Called[words[3]]++
	case len(words) == 4 && words[0] == "confirmed":
		c := Confirmed{Style: parley.Style(words[1]), Address: words[2], ID: parley.MessageID(words[3])}
		if !seen[c.ID] {
			seen[c.ID] = true
			o.Confirmed = append(o.Confirmed, c)
		}
	case len(words) == 5 && words[0] == "handled":
		h := Handled{ID: parley.MessageID(words[3]), Group: words[4]}
		if parley.Style(words[1]) == parley.StyleCommand {
			h.Group = ""
		}
		o.Handled[h]++
	default:
		return false
	}
	return true
}
