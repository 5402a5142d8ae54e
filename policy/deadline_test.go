package policy

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestEveryAttemptHasADeadline(t *testing.T) {
	for _, c := range []struct {
		name       string
		timeout    time.Duration // of the context; 0 = none
		idempotent bool
		left       []time.Duration // at each attempt, back-off aside
	}{
		{"none given", 0, false, []time.Duration{5 * time.Second}},
		{"given", 3 * time.Second, false, []time.Duration{3 * time.Second}},
		{"long, not repeatable", time.Minute, false, []time.Duration{time.Minute}},
		{"none given, repeatable", 0, true, []time.Duration{2 * time.Second, 2 * time.Second, time.Second}},
		{"long, repeatable", time.Minute, true, []time.Duration{2 * time.Second, 2 * time.Second, 56 * time.Second}},
		{"shorter than an attempt", time.Second, true, []time.Duration{time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.timeout)
					defer cancel()
				}
				s := scripted(func(ctx context.Context, _ string, _ int) error { return silence(ctx) })
				r := quote("a")
				r.Idempotent = c.idempotent
				_, err := New(s, nil, Options{}).Do(ctx, r)
				if code := mustFail(t, err).Code; code != transport.DeadlineExceeded {
					t.Errorf("Do = %v; want deadline-exceeded", err)
				}
				got := s.requests()
				if len(got) != len(c.left) {
					t.Fatalf("%d attempts; want %d", len(got), len(c.left))
				}
				for i, a := range got {
					const backoffs = 150 * time.Millisecond
					if a.timeLeft > c.left[i] || a.timeLeft < c.left[i]-backoffs {
						t.Errorf("attempt %d has %v; want %v less the back-offs", i+1, a.timeLeft, c.left[i])
					}
				}
				want := c.timeout
				if want == 0 {
					want = 5 * time.Second
				}
				if took := time.Since(s.began); took > want {
					t.Errorf("the call took %v; want at most %v", took, want)
				}
			})
		})
	}
}

func TestACallThatIsTooLateIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		past, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		gone, give := context.WithCancel(t.Context())
		give()
		for ctx, code := range map[context.Context]transport.Code{past: transport.DeadlineExceeded, gone: transport.Canceled} {
			s, notes := sequence(), &notes{}
			_, err := New(s, notes, Options{}).Do(ctx, quote("a"))
			if e := mustFail(t, err); e.Code != code || !e.NotSent || len(s.requests()) != 0 {
				t.Errorf("Do = %v, NotSent %v, %d requests; want %s, not sent", e, e.NotSent, len(s.requests()), code)
			}
			if len(notes.all) != 2 {
				t.Errorf("%d transitions; want the call and its end", len(notes.all))
			}
		}
	})
}
