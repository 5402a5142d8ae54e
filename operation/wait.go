package operation

import (
	"context"
	"sync"
)

// Wait answers an operation when it is Done (since < 0), or when its Revision is another than since, or when ctx is
// done, then as it is and without an error. It costs no polling. Unavailable: the engine stops.
func (e *Engine) Wait(ctx context.Context, address, id string, since int64) (Snapshot, error) {
	w := e.waiters.add(id, since >= 0)
	defer e.waiters.remove(id, w)
	for {
		session, err := e.session()
		if err != nil {
			return Snapshot{}, err
		}
		if since >= 0 || !e.goesOn(ctx, address, id) { // otherwise there is nothing to read yet
			s, err := e.Get(context.WithoutCancel(ctx), address, id)
			if err != nil || s.Status.Done() || since >= 0 && s.Revision != since {
				return s, err
			}
		}
		select {
		case <-w.bell:
			if s := e.waiters.last(w); s != nil && s.Address == address {
				return *s, nil
			}
		case <-ctx.Done():
			return e.Get(context.WithoutCancel(ctx), address, id)
		case <-session.draining:
		}
	}
}

// goesOn reports whether an operation of that address certainly is here and has not come to its end.
func (e *Engine) goesOn(ctx context.Context, address, id string) bool {
	yes, _ := look(ctx, e, id, func(m *machine) bool { return m.rec.Address == address && !m.rec.Status.Done() })
	return yes
}

// waiters are those who wait for an operation to change. Safe for concurrent use.
type waiters struct {
	mu sync.Mutex
	of map[string]map[*waiter]struct{}
}

type waiter struct {
	any  bool          // any change counts, and not only the last
	last *Snapshot     // the end, where it came from memory; guarded by waiters.mu
	bell chan struct{} // capacity 1
}

func newWaiters() *waiters { return &waiters{of: make(map[string]map[*waiter]struct{})} }

func (ws *waiters) add(id string, anyChange bool) *waiter {
	w := &waiter{any: anyChange, bell: make(chan struct{}, 1)}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of[id] == nil {
		ws.of[id] = make(map[*waiter]struct{})
	}
	ws.of[id][w] = struct{}{}
	return w
}

func (ws *waiters) remove(id string, w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.of[id], w)
	if len(ws.of[id]) == 0 {
		delete(ws.of, id)
	}
}

// waited reports whether anybody waits for an operation.
func (ws *waiters) waited(id string) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.of[id]) > 0
}

// ended gives those who wait for an operation its end; changed wakes them.
func (ws *waiters) ended(s *Snapshot) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.of[s.ID] {
		w.last = s
	}
}

func (ws *waiters) last(w *waiter) *Snapshot {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return w.last
}

// changed wakes those who wait for this change of an operation.
func (ws *waiters) changed(id string, done bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.of[id] {
		if !done && !w.any {
			continue
		}
		select {
		case w.bell <- struct{}{}:
		default:
		}
	}
}
