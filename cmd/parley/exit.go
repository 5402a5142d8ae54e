package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/network"
	"github.com/parley-io/parley/transport"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitAuth        = 4
	exitDeadline    = 5
	exitUnreachable = 6
	exitConflict    = 7
	exitInterrupted = 130
)

const exitCodes = `  0    it was done
  1    the remote said no, or something failed: also an operation that was waited for
  2    the command or the URL of the network was written wrong, or a body does not fit the contract
  3    not found: an address that nobody announced, an unknown id, group or fault
  4    not allowed: a missing or wrong token or password, or no right to do it
  5    the time was over; an id is printed if work may go on
  6    unreachable: no network, nobody there, a breaker is open
  7    a conflict: it exists, is in use, or the id belongs to another request
  130  interrupted`

// codes is the exit code of each class of error.
var codes = map[parley.Code]int{
	parley.Canceled:           exitInterrupted,
	parley.InvalidArgument:    exitFailed, // exitUsage while it has not left this machine
	parley.DeadlineExceeded:   exitDeadline,
	parley.NotFound:           exitNotFound,
	parley.AlreadyExists:      exitConflict,
	parley.PermissionDenied:   exitAuth,
	parley.Unauthenticated:    exitAuth,
	parley.ResourceExhausted:  exitUnreachable,
	parley.FailedPrecondition: exitFailed,
	parley.Aborted:            exitConflict,
	parley.Unimplemented:      exitNotFound,
	parley.Unavailable:        exitUnreachable,
	parley.Internal:           exitFailed,
	parley.Unknown:            exitFailed,
}

// failure is an error with what a person needs beside it.
type failure struct {
	err  error
	try  string // a command that helps; "" = as the error's code suggests
	exit int    // 0 = that of err
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage marks an error as one of how the command was written.
func usage(err error) error { return &failure{err: err, exit: exitUsage} }

// hint adds a command that helps to an error; nil stays nil.
func hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &failure{err: err, try: fmt.Sprintf(format, args...)}
}

// problem is an error as it is printed.
type problem struct {
	Error  string         `json:"error"`
	Cause  []string       `json:"cause,omitzero"`
	Try    string         `json:"try,omitzero"`
	Exit   int            `json:"exit"`
	Code   parley.Code    `json:"code,omitzero"`
	Name   string         `json:"name,omitzero"` // of a declared error
	ID     string         `json:"id,omitzero"`   // of the message or call
	Fields []parley.Field `json:"fields,omitzero"`
	// Details are those of a declared error.
	Details jsontext.Value `json:"details,omitzero"`
}

// explain makes of an error what is printed and returned.
func explain(ctx context.Context, err error) problem {
	p := problem{Exit: exitOf(err)}
	if _, ok := asError(err); ctx.Err() != nil && (ok || errors.Is(err, context.Canceled)) {
		p.Exit = exitInterrupted // whatever else the work says about its sudden end
	}
	for f, next := errors.AsType[*failure](err); next; f, next = errors.AsType[*failure](f.err) {
		if p.Try == "" {
			p.Try = f.try
		}
	}
	e, ok := errors.AsType[*parley.Error](err)
	if !ok {
		p.Error, p.Cause = lines(err)
		return p
	}
	p.Code, p.Name, p.ID, p.Fields, p.Details = e.Code, e.Name, e.ID, e.Fields, e.Details
	p.Error = headline(e)
	for _, f := range e.Fields {
		p.Cause = append(p.Cause, strings.TrimPrefix(f.Path+": "+f.Message, ": "))
	}
	if e.Peer != "" {
		p.Cause = append(p.Cause, "peer "+e.Peer)
	}
	if e.Cause != nil && !strings.Contains(p.Error, e.Cause.Error()) {
		p.Cause = append(p.Cause, e.Cause.Error())
	}
	if p.Try == "" {
		p.Try = suggestion(e)
	}
	return p
}

// exitOf is the exit code of an error.
func exitOf(err error) int {
	if err == nil {
		return exitOK
	}
	for f, ok := errors.AsType[*failure](err); ok; f, ok = errors.AsType[*failure](f.err) {
		if f.exit != 0 {
			return f.exit
		}
	}
	e, ok := errors.AsType[*parley.Error](err)
	switch {
	case ok && e.Code == parley.InvalidArgument && e.NotSent:
		return exitUsage
	case ok:
		if code := codes[e.Code]; code != 0 {
			return code
		}
	case errors.Is(err, network.ErrURL):
		return exitUsage
	case errors.Is(err, network.ErrRunning):
		return exitConflict
	case errors.Is(err, transport.ErrNotFound):
		return exitNotFound
	case errors.Is(err, context.DeadlineExceeded):
		return exitDeadline
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

// headline is an error without what is printed beside it.
func headline(e *parley.Error) string {
	bare := *e
	bare.Fields, bare.Peer, bare.Cause = nil, "", nil
	return bare.Error()
}

// suggestion is a command that may help with an error that nobody knows more about.
func suggestion(e *parley.Error) string {
	switch {
	case errors.Is(e, parley.ErrNoCollector):
		return "parley dev"
	case e.Code == parley.DeadlineExceeded && e.ID != "" && !e.NotSent:
		return "parley follow " + e.ID
	case e.Code == parley.Unavailable:
		return "parley ps"
	}
	return ""
}

// lines are the first line of an error, and the others as its causes.
func lines(err error) (first string, rest []string) {
	all := strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
	return all[0], all[1:]
}

// report prints a problem.
func (a *app) report(p problem) {
	if a.output == outputJSON || a.output == outputLines {
		if b, err := json.Marshal(p); err == nil {
			a.tell(string(b) + "\n")
			return
		}
	}
	line := func(word, text string) {
		if text != "" {
			a.tell(word + ": " + text + "\n")
		}
	}
	line("error", p.Error)
	for _, c := range p.Cause {
		line("cause", c)
	}
	line("details", string(p.Details))
	if p.Exit == exitDeadline {
		line("id", p.ID)
	}
	line("try", p.Try)
}

// newExitCodesTopic is `parley help exit-codes`.
func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: "The exit codes of all commands:\n\n" + exitCodes}
}
