package transporttest

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Rule is a promise in words.
type Rule struct {
	Number  int    // fixed for ever; unique in its suite
	Name    string // a few words
	Promise string // one sentence
	Reason  string // what goes wrong where it does not hold
}

func (r Rule) title() string { return fmt.Sprintf("%02d %s", r.Number, r.Name) }

// Outcome is what became of one check.
type Outcome string

const (
	Passed   Outcome = "passed"
	Declared Outcome = "declared" // not tried: the target says that it cannot keep it, and why
	Failed   Outcome = "failed"
	NotRun   Outcome = "not run" // the target lacks what the check needs, or the context was done before its turn
)

// Result is one line of the table that a suite makes of a target.
type Result struct {
	Rule
	Target  string
	Outcome Outcome
	Detail  string // Declared: the reason; NotRun: what was missing; Failed: got and want, one finding a line; Passed: ""
	Notes   string // what was done, in numbers; often ""
	Took    time.Duration
}

// Err is nil for what passed or was declared, else an error that explains itself: what was not run has shown nothing.
func (r Result) Err() error {
	switch r.Outcome {
	case Passed, Declared:
		return nil
	case Failed, NotRun:
	}
	return fmt.Errorf("%s: check %d, %s: %s\n%s\npromise: %s\nreason: %s",
		r.Target, r.Number, r.Name, r.Outcome, r.Detail, r.Promise, r.Reason)
}

// log tells a test of r.
func (r Result) log(t *testing.T) {
	t.Helper()
	switch r.Outcome {
	case Declared, NotRun:
		t.Logf("%s: %s", r.Outcome, r.Detail)
	case Failed:
		t.Error(r.Err())
	case Passed:
	}
	if r.Notes != "" {
		t.Log(r.Notes)
	}
}

// Errors joins the errors of results.
func Errors(results []Result) error {
	var errs []error
	for _, r := range results {
		errs = append(errs, r.Err())
	}
	return errors.Join(errs...)
}
