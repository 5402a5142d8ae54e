package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/ledger/collector"
)

const (
	redriveLimit = time.Minute            // how long the outcome is waited for
	redrivePoll  = 500 * time.Millisecond // between two lines of progress
)

func newFailedRedriveCommand(a *app) *cobra.Command {
	var dry, yes bool
	c := &cobra.Command{
		Use:   "redrive N…|ID…",
		Short: "Try dead letters again, all of a cause or those of some messages",
		Long: `redrive sends dead letters again to the receivers that gave them up, under the same ids: all open ones of causes by
their numbers, or those of messages by their ids. The scope is frozen when it begins. It waits until each has its
outcome, for a minute unless --timeout says otherwise; the exit code is 1 if some failed again. Where a dead letter has stopped
its key, all of that key are redriven in their order, whatever was named, and the key goes on.`,
		Example: "  parley failed redrive 1 --dry-run\n  parley failed redrive 1 -y\n  parley failed redrive 01981c7e-5d0f-7c3b-9a51-1d2f3a4b5c6d -y -o json",
		Args:    words(1, -1),
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be redriven")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	c.RunE = func(c *cobra.Command, args []string) error {
		requests, err := redriveRequests(args)
		if err != nil {
			return err
		}
		return a.on(a.within(redriveLimit, func(ctx context.Context, s *session, _ []string) error {
			return a.redrive(ctx, s, requests, dry, yes)
		}))(c, args)
	}
	return c
}

// redriveRequests are one for each cause, or one for all ids.
func redriveRequests(args []string) (requests []collector.RedriveRequest, err error) {
	by := cmp.Or(os.Getenv("USER"), source)
	var ids []string
	for _, arg := range args {
		if n, ok := causeNumber(arg); ok {
			requests = append(requests, collector.RedriveRequest{Cause: collector.CauseName(strconv.Itoa(n)), By: by})
		} else {
			ids = append(ids, arg)
		}
	}
	if len(ids) > 0 && len(requests) > 0 {
		return nil, usage(errors.New("want either numbers of causes or ids"))
	}
	if len(ids) > 0 {
		requests = append(requests, collector.RedriveRequest{IDs: ids, By: by})
	}
	return requests, nil
}

func (a *app) redrive(ctx context.Context, s *session, requests []collector.RedriveRequest, dry, yes bool) error {
	scope := make([]collector.Job, len(requests))
	total := 0
	for i, r := range requests {
		r.DryRun = true
		job, _, err := beginRedrive(ctx, s, r)
		if err != nil {
			return hint(err, "parley failed list")
		}
		scope[i] = job
		total += job.Scope
		a.note("%s", scopeLine(job, time.Now()))
	}
	if dry {
		return show(a, scope, scope, func(t *table) {
			t.row(fmt.Sprintf("would redrive %s; run again with -y", plural(total, "dead letter")))
		})
	}
	if err := a.confirm("redrive "+plural(total, "dead letter"), yes); err != nil {
		return err
	}
	jobs := make([]collector.Job, len(requests))
	var failed []error
	for i, r := range requests {
		job, peer, err := beginRedrive(ctx, s, r)
		if err == nil {
			job, err = a.awaitJob(ctx, s, peer, job)
		}
		jobs[i] = job
		failed = append(failed, err)
	}
	err := show(a, jobs, jobs, func(t *table) {
		for _, j := range jobs {
			t.row(jobLine(j))
		}
	})
	return errors.Join(append(failed, err)...)
}

// beginRedrive begins a job, and says which collector has it.
func beginRedrive(ctx context.Context, s *session, r collector.RedriveRequest) (job collector.Job, at string, err error) {
	job, err = collected(ctx, s, func(peer string) (collector.Job, error) {
		at = peer
		return collector.BeginRedrive(ctx, s.net.Calls, peer, r)
	})
	return job, at, err
}

// scopeLine says what a job is about.
func scopeLine(j collector.Job, now time.Time) string {
	what := ""
	if j.Cause != nil {
		what = fmt.Sprintf(" of cause #%d, %s → %s: %s", j.Cause.Number, j.Cause.Address, receiverOf(*j.Cause), clip(j.Cause.Reason, 100))
	}
	return fmt.Sprintf("%s%s (oldest %s)", plural(j.Scope, "dead letter"), what, ago(j.Oldest, now))
}

// awaitJob waits until a job is over, and says whether all went well.
func (a *app) awaitJob(ctx context.Context, s *session, peer string, j collector.Job) (collector.Job, error) {
	for last := ""; ; {
		next, err := collector.FollowRedrive(ctx, s.net.Calls, peer, j.ID, redrivePoll)
		switch {
		case ctx.Err() != nil:
			return j, stillRuns(ctx, j)
		case err != nil && parley.CodeOf(err) != parley.DeadlineExceeded:
			return j, err
		case err == nil:
			j = next
		}
		if line := jobLine(j); line != last && j.State != collector.JobDone {
			last = line
			a.note("%s", line)
		}
		switch {
		case j.State == collector.JobInterrupted:
			return j, &failure{err: fmt.Errorf("redrive %s was interrupted: %v", j.ID, j.Errors), try: "parley failed list", exit: exitFailed}
		case j.State == collector.JobDone && (j.FailedAgain > 0 || j.NotSent > 0):
			return j, &failure{err: fmt.Errorf("%d failed again, %d were not sent %v", j.FailedAgain, j.NotSent, j.Errors), try: "parley failed list", exit: exitFailed}
		case j.State == collector.JobDone:
			return j, nil
		}
	}
}

func stillRuns(ctx context.Context, j collector.Job) error {
	err := ctx.Err()
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	try := "parley failed list"
	if len(j.IDs) > 0 {
		try = "parley follow " + j.IDs[0]
	}
	return &failure{err: fmt.Errorf("%d of %d have no outcome yet; they go on", j.Waiting, j.Scope), try: try, exit: exitDeadline}
}

// jobLine is the progress or outcome of a job.
func jobLine(j collector.Job) string {
	words := []string{fmt.Sprintf("%d of %d handled", j.Handled, j.Scope)}
	for _, part := range []struct {
		n    int
		word string
	}{{j.FailedAgain, "failed again"}, {j.Waiting, "under way"}, {j.NotSent, "not sent"}} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(words, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
