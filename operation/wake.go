package operation

import (
	"context"
	"time"
)

// breath is between two looks at what is due, so that under load one look finds room for many.
const breath = 5 * time.Millisecond

// wake starts what is due: at the begin, when the time of the earliest wait comes, and when there is room again for
// what had to wait. It has one timer for all operations. Once an hour it forgets what is old.
func (e *Engine) wake(ctx context.Context, s session) {
	e.unpark(ctx, s)
	e.soon(true)
	forget := clock()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := clock()
		if !now.Before(forget) {
			forget = now.Add(time.Hour)
			e.writer.submit([]Change{{Forget: now.Add(-e.o.Retain)}}, func([]Outcome, error) {})
		}
		if e.isDue(now) {
			if err := e.claim(ctx, s, now); err != nil {
				e.log.WarnContext(ctx, "operations that are due can't be read from the journal; it is tried again", "error", err)
				e.wakeBy(now.Add(lastPause))
			}
			s.pause(breath)
		}
		next := forget
		if at := e.nextWake(); !at.IsZero() && at.Before(next) {
			next = at
		}
		timer.Reset(max(next.Sub(clock()), 0))
		select {
		case <-s.draining:
			return
		case <-e.nudge:
		case <-timer.C:
		}
	}
}

// unpark sets going again what was parked: perhaps its code is mended.
func (e *Engine) unpark(ctx context.Context, s session) {
	f := Filter{Statuses: []Status{Parked}}
	for pause := firstPause; ; {
		page, err := s.journal.List(ctx, f)
		if err != nil {
			if !s.pause(pause) {
				return
			}
			pause = min(2*pause, lastPause)
			continue
		}
		for i := range page {
			e.visit(page[i].ID, func(l *live, now time.Time) {
				if l.m != nil && l.m.rec.Status == Parked {
					l.m.retry()
				}
			})
		}
		if len(page) == 0 {
			return
		}
		f.After = &page[len(page)-1]
	}
}

// claim starts what is due, as far as there is room, and finds out when the next is.
func (e *Engine) claim(ctx context.Context, s session, now time.Time) error {
	e.mu.Lock()
	room := e.free
	limit := room + len(e.lives) // those that live are due as well, as the journal sees them
	e.backlog, e.next = room == 0, time.Time{}
	e.mu.Unlock()
	if room == 0 {
		return nil
	}
	due, err := s.journal.List(ctx, Filter{DueBefore: now.Add(1), Limit: limit})
	if err != nil {
		return err
	}
	if len(due) == limit {
		e.mu.Lock()
		e.backlog = true
		e.mu.Unlock()
	}
	if err := e.revive(ctx, s, due); err != nil {
		return err
	}
	later, err := s.journal.List(ctx, Filter{DueBefore: Never, After: &Record{WakeAt: now.Add(1)}, Limit: 1})
	if err != nil {
		return err
	}
	if len(later) > 0 {
		e.wakeBy(later[0].WakeAt)
	}
	return nil
}

// revive makes operations live, as far as there is room. They are read after they are known to be here: what is in the
// journal of an operation that lives is not changed by others.
func (e *Engine) revive(ctx context.Context, s session, due []Record) error {
	var ids []string
	fresh := make(map[string]*live)
	e.mu.Lock()
	for i := range due {
		if e.lives[due[i].ID] != nil || e.state != running {
			continue
		}
		if e.free == 0 {
			e.backlog = true
			break
		}
		l := e.add(due[i].ID)
		e.free--
		l.slot = true
		ids, fresh[l.id] = append(ids, l.id), l
	}
	e.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	found, err := s.journal.Load(ctx, ids...)
	stored := make(map[string]*Stored, len(found))
	for i := range found {
		stored[found[i].ID] = &found[i]
	}
	for id, l := range fresh {
		e.start(l, stored[id]) // what could not be read now is read by itself
	}
	return err
}

// visit has event called by the goroutine of an operation, which becomes live for it.
func (e *Engine) visit(id string, event func(*live, time.Time)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != running {
		return false
	}
	l := e.lives[id]
	if l == nil {
		l = e.add(id)
		e.now.spawn(l, nil)
	}
	l.post(func(now time.Time) { event(l, now) })
	return true
}

// add makes an operation live; e.mu is held.
func (e *Engine) add(id string) *live {
	l := &live{e: e, session: e.now, writer: e.writer, id: id, bell: make(chan struct{}, 1)}
	e.lives[id] = l
	return l
}

// start lets the goroutine of an operation begin; s is what the journal has of it, nil = it reads it itself.
func (e *Engine) start(l *live, s *Stored) {
	e.mu.Lock()
	if e.state == running {
		e.now.spawn(l, s)
		e.mu.Unlock()
		return
	}
	l.mu.Lock()
	l.ended, l.stopping = true, true
	l.mu.Unlock()
	e.release(l)
	e.mu.Unlock()
	for _, event := range l.take() { // who has come for it already learns that the process stops
		event(clock())
	}
}

// remove ends the life of an operation in this process, unless something has just come for it.
func (e *Engine) remove(l *live) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.inbox) > 0 {
		return false
	}
	l.ended = true
	e.release(l)
	if l.m != nil && !l.m.rec.Status.Done() && l.m.rec.WakeAt.Before(Never) && !l.stopping {
		e.wakeByLocked(l.m.rec.WakeAt)
	}
	return true
}

// release takes an operation out of the lives; e.mu is held.
func (e *Engine) release(l *live) {
	delete(e.lives, l.id)
	if l.slot {
		l.slot = false
		e.free++
		if e.backlog {
			e.soonLocked()
		}
	}
}

// occupy gives an operation room to run in, if there is.
func (e *Engine) occupy(l *live) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.slot {
		return true
	}
	if e.free == 0 {
		e.backlog = true
		return false
	}
	e.free--
	l.slot = true
	return true
}

// crowded reports whether operations that are due wait for room.
func (e *Engine) crowded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.backlog && e.free == 0
}

func (e *Engine) eachLive(do func(*live)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lives {
		do(l)
	}
}

// isDue reports whether it is time to look at the journal.
func (e *Engine) isDue(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.backlog && e.free > 0 || !e.next.IsZero() && !now.Before(e.next)
}

func (e *Engine) nextWake() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.next
}

// soon makes wake look again; all = as if something were due.
func (e *Engine) soon(all bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.backlog = e.backlog || all
	e.soonLocked()
}

func (e *Engine) wakeBy(t time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wakeByLocked(t)
}

// wakeByLocked makes wake look at t at the latest; e.mu is held.
func (e *Engine) wakeByLocked(t time.Time) {
	if e.next.IsZero() || t.Before(e.next) {
		e.next = t
		e.soonLocked()
	}
}

func (e *Engine) soonLocked() {
	select {
	case e.nudge <- struct{}{}:
	default:
	}
}

// pause waits; false = the process stops.
func (s session) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.draining:
		return false
	case <-t.C:
		return true
	}
}
