package transporttest

import (
	"errors"
	"fmt"
	"time"
)

// Rule is a promise in words.
type Rule struct {
	Number  int    // fixed for ever; unique in its suite
	Name    string // a few words
	Promise string // one sentence
	Reason  string // what goes wrong where it does not hold
}

// Outcome is what became of one check.
type Outcome string

const (
	Passed   Outcome = "passed"
	Declared Outcome = "declared" // not tried: the target says that it cannot keep it, and why
	Failed   Outcome = "failed"
	NotRun   Outcome = "not run" // the context was done before its turn
)

// Result is one line of the table that a suite makes of a target.
type Result struct {
	Rule
	Target  string
	Outcome Outcome
	Detail  string // Declared: the reason; Failed: got and want, one finding a line; Passed: ""
	Notes   string // what was done, in numbers; often ""
	Took    time.Duration
}

// Err is nil for what passed or was declared, else an error that explains itself.
func (r Result) Err() error {
	switch r.Outcome {
	case Passed, Declared:
		return nil
	case Failed, NotRun:
	}
	return fmt.Errorf("%s: check %d, %s: %s\n%s\npromise: %s\nreason: %s",
		r.Target, r.Number, r.Name, r.Outcome, r.Detail, r.Promise, r.Reason)
}

// Errors joins the errors of results.
func Errors(results []Result) error {
	var errs []error
	for _, r := range results {
		errs = append(errs, r.Err())
	}
	return errors.Join(errs...)
}
