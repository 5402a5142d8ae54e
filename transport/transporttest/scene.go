package transporttest

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Scene is where one check happens: what it found, and what must end with it. Fatalf ends the goroutine that calls it,
// which is the check's own or one that the check waits for; all may be called concurrently.
type Scene struct {
	full   bool
	prefix string
	number int
	seed   uint64

	mu    sync.Mutex
	found []string
	lacks string // what the target does not have and the check needs; "" = nothing
	notes []string
	ends  []func(context.Context) error
	names int

	running sync.WaitGroup
}

// maxFindings bounds what is said about one check; one cause often has hundreds of effects.
const maxFindings = 12

func newScene(number int, o Options) *Scene {
	return &Scene{full: o.Full, number: number, seed: o.Seed, prefix: fmt.Sprintf("conform.%s.c%d", strings.ToLower(rand.Text()[:8]), number)}
}

// Errorf notes that the promise is broken; got comes before want. The check goes on.
func (s *Scene) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, fmt.Sprintf(format, args...))
}

// Notef says what the check did, in numbers, whatever its outcome.
func (s *Scene) Notef(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// Fatalf is Errorf, and ends the check.
func (s *Scene) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// NotRunf ends the check without a verdict, because the target does not give what it needs. What was found before counts.
func (s *Scene) NotRunf(format string, args ...any) {
	s.mu.Lock()
	s.lacks = fmt.Sprintf(format, args...)
	s.mu.Unlock()
	runtime.Goexit()
}

// Defer calls end when the check is over, last first, with a context of its own. Its error is a finding.
func (s *Scene) Defer(end func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, end)
}

// Go runs f beside the check, which does not end before f does.
func (s *Scene) Go(f func()) { s.running.Go(f) }

// Count is how often something is done: reduced, or full with [Options.Full].
func (s *Scene) Count(reduced, full int) int {
	if s.full {
		return full
	}
	return reduced
}

// Random chooses moments, always the same ones for a check and a seed. Not for concurrent use.
func (s *Scene) Random() *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(uint64(s.number), uint64(s.number)+s.seed))
}

// Address is a new one, that no other check and no other run uses.
func (s *Scene) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names++
	return fmt.Sprintf("%s.n%d", s.prefix, s.names)
}

// endLimit is for each thing that was deferred: more than any driver's own patience when it closes.
const endLimit = time.Minute

// end runs what was deferred.
func (s *Scene) end(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for {
		s.mu.Lock()
		n := len(s.ends)
		if n == 0 {
			s.mu.Unlock()
			break
		}
		last := s.ends[n-1]
		s.ends = slices.Delete(s.ends, n-1, n)
		s.mu.Unlock()
		s.endOne(ctx, last)
	}
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		s.running.Wait()
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		s.Errorf("got something that still runs after everything was closed; want every Receive and Send to end with Close")
	}
}

func (s *Scene) endOne(ctx context.Context, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	if err := end(ctx); err != nil {
		s.Errorf("ending the check: %v", err)
	}
}

// verdict is what became of the check, once it has ended.
func (s *Scene) verdict() (o Outcome, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.found) > 0:
		return Failed, summarize(s.found)
	case s.lacks != "":
		return NotRun, s.lacks
	}
	return Passed, ""
}

func summarize(found []string) string {
	if n := len(found) - maxFindings; n > 0 {
		found = append(slices.Clone(found[:maxFindings]), fmt.Sprintf("… and %d findings more", n))
	}
	return strings.Join(found, "\n")
}
