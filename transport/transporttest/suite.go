package transporttest

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Promise is a rule with the attempt to break it. S is what the attempt is made on: a [Site] or a [Peers].
type Promise[S any] struct {
	Rule
	// Try reports what it finds to the scene. ctx ends after [Options.Patience].
	Try func(ctx context.Context, s *Scene, site S)
}

// Suite is a list of promises.
type Suite[S any] []Promise[S]

// Target is a thing that a suite is tried on.
type Target[S any] struct {
	Name string
	// Start gives the site for one check, and what ends it (nil = nothing to end). Sites may share a server: each
	// check uses addresses of its own.
	Start func(ctx context.Context) (site S, stop func(context.Context) error, err error)
	// Declared are the promises that this target cannot keep, each with the reason.
	Declared map[int]string
	// Virtual lets [Suite.Run] put each check into a bubble of testing/synctest, so that waiting takes no time.
	// Everything then happens in this process.
	Virtual bool
}

// Options of a run. The zero Options runs all checks with reduced counts.
type Options struct {
	Full     bool          // the counts of the whole list, such as 50 kills instead of 5
	Only     []int         // numbers of the checks to run; nil = all
	Patience time.Duration // for one check; 0 = 2 minutes, or 10 if Full
}

func (o Options) patience() time.Duration {
	switch {
	case o.Patience > 0:
		return o.Patience
	case o.Full:
		return 10 * time.Minute
	}
	return 2 * time.Minute
}

// Results tries the chosen checks one after the other, by the wall clock.
func (u Suite[S]) Results(ctx context.Context, target Target[S], o Options) []Result {
	var all []Result
	for _, p := range u.chosen(o) {
		all = append(all, p.judge(ctx, target, o))
	}
	return all
}

// Run tries the chosen checks as subtests and answers the results of those that ran.
func (u Suite[S]) Run(t *testing.T, target Target[S], o Options) []Result {
	t.Helper()
	var all []Result
	for _, p := range u.chosen(o) {
		t.Run(fmt.Sprintf("%02d %s", p.Number, p.Name), func(t *testing.T) {
			judge := func(t *testing.T) {
				r := p.judge(t.Context(), target, o)
				all = append(all, r)
				switch {
				case r.Outcome == Declared:
					t.Logf("declared: %s", r.Detail)
				case r.Notes != "":
					t.Log(r.Notes)
				}
				if err := r.Err(); err != nil {
					t.Error(err)
				}
			}
			if target.Virtual {
				synctest.Test(t, judge)
			} else {
				judge(t)
			}
		})
	}
	return all
}

func (u Suite[S]) chosen(o Options) Suite[S] {
	return slices.DeleteFunc(slices.Clone(u), func(p Promise[S]) bool {
		return o.Only != nil && !slices.Contains(o.Only, p.Number)
	})
}

func (p Promise[S]) judge(ctx context.Context, target Target[S], o Options) Result {
	r := Result{Rule: p.Rule, Target: target.Name}
	if reason, ok := target.Declared[p.Number]; ok {
		r.Outcome, r.Detail = Declared, reason
		if reason == "" {
			r.Outcome, r.Detail = Failed, "got a declaration without a reason, want one"
		}
		return r
	}
	if ctx.Err() != nil {
		r.Outcome, r.Detail = NotRun, context.Cause(ctx).Error()
		return r
	}
	began := time.Now()
	s := newScene(p.Number, o.Full)
	p.try(ctx, s, target, o.patience())
	r.Took, r.Detail, r.Notes = time.Since(began), s.findings(), strings.Join(s.notes, "; ")
	if r.Outcome = Passed; r.Detail != "" {
		r.Outcome = Failed
	}
	return r
}

// try returns when the check and all that it started have ended. The check has a goroutine of its own, because
// [Scene.Fatalf] ends it.
func (p Promise[S]) try(ctx context.Context, s *Scene, target Target[S], patience time.Duration) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer s.end(ctx)
		defer func() {
			if r := recover(); r != nil {
				s.Errorf("got a panic: %v\n%s", r, debug.Stack())
			}
		}()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		site, stop, err := target.Start(ctx)
		if err != nil {
			s.Fatalf("starting %s: %v", target.Name, err)
		}
		if stop != nil {
			s.Defer(stop)
		}
		p.Try(ctx, s, site)
	}()
	<-ended
}
