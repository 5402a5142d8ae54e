package main

import (
	"fmt"
	"io"
	"strings"
)

// line is one line on a screen.
type line struct {
	text string
	grey bool
}

// plain are lines as they are.
func plain(texts []string) []line {
	lines := make([]line, len(texts))
	for i, text := range texts {
		lines[i] = line{text: text}
	}
	return lines
}

// screen is a block of lines on a terminal that is painted over.
type screen struct{ painted int } // lines that stand there

// repaint replaces what stands on the terminal.
func (s *screen) repaint(out io.Writer, lines []line, width int) error {
	var b strings.Builder
	if s.painted > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.painted) // up to the first line, and clear from there
	}
	for _, l := range lines {
		text := clip(l.text, width)
		if l.grey {
			text = "\x1b[90m" + text + "\x1b[0m"
		}
		b.WriteString(text + "\n")
	}
	s.painted = len(lines)
	_, err := io.WriteString(out, b.String())
	return err
}
