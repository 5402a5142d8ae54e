package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// teller prints the story. Safe for concurrent use.
type teller struct {
	began time.Time

	mu  sync.Mutex
	out io.Writer
}

// hintColumn is where the command to look closer begins.
const hintColumn = 76

// sayf prints a line with the time since the beginning, and at its right the command to look closer ("" = none).
func (t *teller) sayf(hint, format string, args ...any) {
	since := time.Since(t.began)
	line := fmt.Sprintf("  %02d:%02d  ", int(since.Minutes()), int(since.Seconds())%60) + fmt.Sprintf(format, args...)
	if hint != "" {
		line += strings.Repeat(" ", max(2, hintColumn-utf8.RuneCountInString(line))) + hint
	}
	t.print(line)
}

// print prints a line as it is.
func (t *teller) print(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.out, line) //nolint:errcheck // the story goes on when nobody listens
}
