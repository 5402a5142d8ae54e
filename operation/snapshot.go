package operation

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/parley-io/parley/transport"
)

// Snapshot is an operation at one moment, with the steps that run now.
type Snapshot struct {
	Stored
	Active []Active // by Seq
}

// Active is a step that is not final: it runs, waits to be tried again, or waits for a time or a signal.
type Active struct {
	Entry
	Running bool // an attempt runs at this moment
}

// Get answers an operation as it is. NotFound: no such operation of that address.
func (e *Engine) Get(ctx context.Context, address, id string) (Snapshot, error) {
	what := "operation " + id
	s, err := e.get(ctx, id, what)
	if err == nil && s.Address != address {
		return Snapshot{}, unknown(what, address)
	}
	return s, err
}

func (e *Engine) get(ctx context.Context, id, what string) (Snapshot, error) {
	session, err := e.session()
	if err != nil {
		return Snapshot{}, err
	}
	memory, _ := look(ctx, e, id, func(m *machine) sight { return sight{m.active(), m.revision()} })
	found, err := session.journal.Load(ctx, id)
	switch {
	case err != nil:
		return Snapshot{}, e.unreadable(err)
	case len(found) == 0:
		return Snapshot{}, &transport.Error{Code: transport.NotFound, Message: what + ": no such operation"}
	}
	s := Snapshot{Stored: found[0]}
	if s.Status.Done() {
		return s, nil
	}
	s.Revision = max(s.Revision, memory.revision)
	// What memory says is newer, but what is durable is final.
	over := make(map[string]bool)
	for _, x := range s.Entries {
		over[x.Key] = x.Final()
	}
	for _, a := range memory.active {
		if !over[a.Key] {
			over[a.Key] = true
			s.Active = append(s.Active, a)
		}
	}
	for _, x := range s.Entries {
		if !over[x.Key] {
			s.Active = append(s.Active, Active{Entry: x})
		}
	}
	slices.SortFunc(s.Active, func(a, b Active) int { return cmp.Compare(a.Seq, b.Seq) })
	if s.Status == NotStarted && len(s.Active)+len(s.Entries) > 0 {
		s.Status = Running
	}
	return s, nil
}

// sight is what the goroutine of an operation that is live knows beside the journal.
type sight struct {
	active   []Active
	revision int64 // of what is durable
}

// glance is how long the goroutine of an operation is waited for, which answers at once unless it waits for the journal
// itself; what the journal has is the answer then.
const glance = 100 * time.Millisecond

// look is what read answers in the goroutine of an operation, if it is live and answers within a glance, and before ctx
// is done or the process drains.
func look[T any](ctx context.Context, e *Engine, id string, read func(*machine) T) (seen T, ok bool) {
	e.mu.Lock()
	l := e.lives[id]
	e.mu.Unlock()
	if l == nil {
		return seen, false
	}
	answer := make(chan T, 1)
	if !l.post(func(time.Time) {
		if l.m != nil {
			answer <- read(l.m)
		}
		close(answer)
	}) {
		return seen, false
	}
	limit := time.NewTimer(glance)
	defer limit.Stop()
	select {
	case seen, ok = <-answer:
	case <-limit.C:
	case <-ctx.Done():
	case <-l.session.draining:
	}
	return seen, ok
}
