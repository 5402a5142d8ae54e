package transporttest

import (
	"context"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Promise is a rule with the attempt to break it. S is what the attempt is made on: a [Site] or a [Peers].
type Promise[S any] struct {
	Rule
	// Waits says that the check mostly waits, and neither harms nor loads the broker: [Suite.Run] tries such checks beside
	// each other, after all others.
	Waits bool
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
	// Long says that this run has means which ordinary ones lack, such as a disk that may lose its power: what only such a run
	// has passed is marked so by [Record].
	Long bool
	// Virtual lets [Suite.Run] put each check into a bubble of testing/synctest, so that waiting takes no time.
	// Everything then happens in this process.
	Virtual bool
}

// Results tries the chosen checks one after the other, by the wall clock.
func (u Suite[S]) Results(ctx context.Context, target Target[S], o Options) []Result {
	var all []Result
	for _, p := range u.chosen(o) {
		all = append(all, p.judge(ctx, target, o))
	}
	return all
}

// Run tries the chosen checks as subtests and answers the results of those that ran. What fails, fails the test; what is
// not run is only logged: [Record] compares it with what is known of the target, and [Errors] has an error for it.
func (u Suite[S]) Run(t *testing.T, target Target[S], o Options) []Result {
	t.Helper()
	var all []Result
	try := func(t *testing.T, p Promise[S]) {
		t.Helper()
		r := p.judge(t.Context(), target, o)
		all = append(all, r)
		r.log(t)
	}
	var waiting Suite[S]
	for _, p := range u.chosen(o) {
		switch {
		case target.Virtual:
			t.Run(p.title(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { try(t, p) })
			})
		case p.Waits:
			waiting = append(waiting, p)
		default:
			t.Run(p.title(), func(t *testing.T) { try(t, p) })
		}
	}
	if len(waiting) == 0 {
		return all
	}
	t.Run("beside each other", func(t *testing.T) {
		results := make([]Result, len(waiting))
		var trying sync.WaitGroup
		for i, p := range waiting { // t.Parallel tries no more at once than there are processors, and these need hardly any
			trying.Go(func() { results[i] = p.judge(t.Context(), target, o) })
		}
		trying.Wait()
		for _, r := range results {
			t.Run(r.title(), func(t *testing.T) { r.log(t) })
		}
		all = append(all, results...)
	})
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
	s := newScene(p.Number, o)
	p.try(ctx, s, target, o.patience())
	r.Took, r.Notes = time.Since(began), strings.Join(s.notes, "; ")
	r.Outcome, r.Detail = s.verdict()
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
