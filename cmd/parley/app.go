package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// app is what all commands share: the standard streams and the global flags. Data goes to out, everything for people
// to err.
type app struct {
	in       io.Reader
	out, err io.Writer

	network string        // a URL; "" = PARLEY_NETWORK, else that of a running parley dev
	output  string        // one of outputs
	timeout time.Duration // of the work behind the command; 0 = that command's default
	quiet   bool
	verbose bool

	started bool // flags and arguments were right, and the command has begun
}

// outputs are the values of -o.
var outputs = []string{outputTable, outputJSON, outputLines}

const (
	outputTable = "table"
	outputJSON  = "json"  // one value, indented
	outputLines = "jsonl" // a value a line
)

// note tells people something beside the data, unless they do not want to know.
//
//nolint:goprintffuncname // it reads better in the many places that use it
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		a.tell(fmt.Sprintf(format, args...) + "\n")
	}
}

// tell prints what people must know. Nobody can be told that they cannot be told.
func (a *app) tell(text string) { _, _ = io.WriteString(a.err, text) }

// table reports whether people read the output, and not programs.
func (a *app) table() bool { return a.output == outputTable }

// terminal reports whether f is a terminal.
func terminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// terminalSize is that of the terminal f, 0 and 0 if it is none.
func terminalSize(f any) (width, height int) {
	file, ok := f.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}
