package conform

import (
	"fmt"
	"time"

	"github.com/parley-io/parley/transport/transporttest"
)

// Report is what a run found. Its JSON is what `parley conform -o json` prints.
type Report struct {
	Broker   string       `json:"broker"` // the URL, without user and password
	Prefix   string       `json:"prefix"` // under which the run worked
	Full     bool         `json:"full"`
	Seed     uint64       `json:"seed"`
	Began    time.Time    `json:"began"`
	Took     Milliseconds `json:"took_ms"`
	Stopped  string       `json:"stopped,omitzero"` // why the run ended before its last check; "" = it did not
	Features Features     `json:"features"`
	Counts   Counts       `json:"counts"`
	Checks   []Check      `json:"checks"`
	Traffic  Traffic      `json:"traffic"`
	Points   []Point      `json:"points"` // of the traffic over time, each for the time since the one before
	Marks    []Mark       `json:"marks"`  // by time
	// Left is what could not be deleted at the end, and why; "" = nothing is left behind.
	Left string `json:"left,omitzero"`
}

// Milliseconds is a time, or a duration since the beginning of a run.
type Milliseconds int64

// Duration is m as such.
func (m Milliseconds) Duration() time.Duration { return time.Duration(m) * time.Millisecond }

func since(t time.Time) Milliseconds { return Milliseconds(time.Since(t).Milliseconds()) }

// Features is what the broker can do; see [transport.Features].
type Features struct {
	MaxBytes int    `json:"max_bytes"`
	Dedupe   string `json:"dedupe"` // as [time.Duration] prints it, "0s" = none
	Delay    string `json:"delay"`
	Streams  bool   `json:"streams"`
	Audience bool   `json:"audience"`
	Survives string `json:"survives"`
}

// Counts are how many checks ended how.
type Counts struct { //nolint:recvcheck // one method counts, the other only reads
	Passed   int `json:"passed"`
	Declared int `json:"declared"`
	Failed   int `json:"failed"`
	NotRun   int `json:"not_run"`
}

// Of is how many checks there are in all.
func (c Counts) Of() int { return c.Passed + c.Declared + c.Failed + c.NotRun }

// The suites that a [Check] can be of.
const (
	SuiteBroker   = "broker"   // package transporttest
	SuiteDelivery = "delivery" // package deliverytest
)

// Check is one promise, and what became of the attempt to break it.
type Check struct {
	Suite    string                `json:"suite"`
	Number   int                   `json:"number"`
	Name     string                `json:"name"`
	Outcome  transporttest.Outcome `json:"outcome"`
	Detail   string                `json:"detail,omitzero"` // of a failure: got and want; else why it was declared or not run
	Notes    string                `json:"notes,omitzero"`  // what was done, in numbers
	Replay   string                `json:"replay,omitzero"` // the command that tries a failed check again
	Promise  string                `json:"promise"`
	Reason   string                `json:"reason"`
	At       Milliseconds          `json:"at_ms"` // since the beginning of the run
	Took     Milliseconds          `json:"took_ms"`
	Messages int                   `json:"messages"` // that were seen sent and handled
}

// Failed reports whether a check has failed, or something could not be deleted.
func (r *Report) Failed() bool { return r.Counts.Failed > 0 || r.Left != "" }

// String is the outcome of a run in a line.
func (r *Report) String() string {
	c := r.Counts
	return fmt.Sprintf("%d of %d checks passed, %d declared, %d failed, %d not run", c.Passed, c.Of(), c.Declared, c.Failed, c.NotRun)
}

func (c *Counts) add(o transporttest.Outcome) {
	switch o {
	case transporttest.Passed:
		c.Passed++
	case transporttest.Declared:
		c.Declared++
	case transporttest.Failed:
		c.Failed++
	default: // an outcome that is none of these has shown nothing
		c.NotRun++
	}
}
