package transporttest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-io/parley/transport/transporttest"
)

// toy is a suite about a number: 1 passes, 2 fails twice, 3 panics, 4 waits for its context, 5 lacks something, 6 has
// found something before it noticed that.
func toy() transporttest.Suite[int] {
	promise := func(number int, try func(context.Context, *transporttest.Scene, int)) transporttest.Promise[int] {
		return transporttest.Promise[int]{
			Rule: transporttest.Rule{Number: number, Name: "toy", Promise: "It holds.", Reason: "Otherwise it breaks."}, Try: try,
		}
	}
	return transporttest.Suite[int]{
		promise(1, func(_ context.Context, s *transporttest.Scene, n int) { s.Notef("tried with %d", n) }),
		promise(2, func(_ context.Context, s *transporttest.Scene, n int) {
			s.Defer(func(context.Context) error { return errors.New("not closed") })
			s.Errorf("got %d; want 8", n)
			s.Fatalf("got nothing; want something")
			s.Errorf("this is never reached")
		}),
		promise(3, func(context.Context, *transporttest.Scene, int) { panic("a defect of the driver") }),
		promise(4, func(ctx context.Context, s *transporttest.Scene, _ int) {
			<-ctx.Done()
			s.Errorf("got no answer in time")
		}),
		promise(5, func(_ context.Context, s *transporttest.Scene, _ int) {
			s.NotRunf("the target has no %s", "hammer")
			s.Errorf("this is never reached")
		}),
		promise(6, func(_ context.Context, s *transporttest.Scene, n int) {
			s.Errorf("got %d; want 8", n)
			s.NotRunf("the target has no hammer")
		}),
	}
}

func toyTarget(declared map[int]string) transporttest.Target[int] {
	return transporttest.Target[int]{
		Name: "seven", Declared: declared,
		Start: func(context.Context) (int, func(context.Context) error, error) { return 7, nil, nil },
	}
}

func TestEachCheckHasOneOutcomeAndSaysWhy(t *testing.T) {
	t.Parallel()
	declared := map[int]string{1: "sevens cannot", 2: ""}
	for _, c := range []struct {
		number   int
		declared map[int]string
		want     transporttest.Outcome
		detail   string
	}{
		{1, nil, transporttest.Passed, ""},
		{1, declared, transporttest.Declared, "sevens cannot"},
		{2, nil, transporttest.Failed, "got 7; want 8\ngot nothing; want something\nending the check: not closed"},
		{2, declared, transporttest.Failed, "got a declaration without a reason, want one"},
		{3, nil, transporttest.Failed, "a defect of the driver"},
		{4, nil, transporttest.Failed, "got no answer in time"},
		{5, nil, transporttest.NotRun, "the target has no hammer"},
		{6, nil, transporttest.Failed, "got 7; want 8"},
	} {
		o := transporttest.Options{Only: []int{c.number}, Patience: 10 * time.Millisecond}
		got := toy().Results(t.Context(), toyTarget(c.declared), o)
		if len(got) != 1 || got[0].Outcome != c.want || !strings.Contains(got[0].Detail, c.detail) {
			t.Errorf("check %d, declared %v = %+v; want one result, %s with detail %q", c.number, c.declared, got, c.want, c.detail)
			continue
		}
		err := got[0].Err()
		if broken := c.want == transporttest.Failed || c.want == transporttest.NotRun; (err != nil) != broken {
			t.Errorf("check %d, %s: Err = %v; want one: %v", c.number, c.want, err, broken)
		} else if broken && !strings.Contains(err.Error(), "It holds.") {
			t.Errorf("check %d: Err = %v; want it to say the promise", c.number, err)
		}
	}
}

func TestACheckThatCouldNotRunIsNeitherPassedNorDeclared(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	got := toy().Results(ctx, toyTarget(nil), transporttest.Options{Only: []int{1}})
	if len(got) != 1 || got[0].Outcome != transporttest.NotRun || got[0].Err() == nil {
		t.Errorf("Results with a context that is done = %+v; want one, not run, with an error", got)
	}
}

func TestAStartThatFailsFailsTheCheck(t *testing.T) {
	t.Parallel()
	target := toyTarget(nil)
	target.Start = func(context.Context) (int, func(context.Context) error, error) {
		return 0, nil, errors.New("port in use")
	}
	got := toy().Results(t.Context(), target, transporttest.Options{Only: []int{1}})
	if len(got) != 1 || got[0].Outcome != transporttest.Failed || !strings.Contains(got[0].Detail, "port in use") {
		t.Errorf("Results of a target that does not start = %+v; want a failure that says why", got)
	}
}

func TestNumbersAreUniqueAndEveryRuleIsExplained(t *testing.T) {
	t.Parallel()
	var brokers, callers []transporttest.Rule
	for _, p := range transporttest.Brokers() {
		brokers = append(brokers, p.Rule)
	}
	for _, p := range transporttest.Callers() {
		callers = append(callers, p.Rule)
	}
	for _, rules := range [][]transporttest.Rule{brokers, callers} {
		var numbers []int
		for _, r := range rules {
			if slices.Contains(numbers, r.Number) || r.Name == "" || r.Promise == "" || r.Reason == "" {
				t.Errorf("rule %+v; want a number of its own, a name, a promise and a reason", r)
			}
			numbers = append(numbers, r.Number)
		}
	}
}
