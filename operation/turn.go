package operation

import "time"

// post has event called in a turn of l, soon and in order, by the goroutine of l or by who has the turn now. It never
// blocks; false = too late, l has ended.
func (l *live) post(event func(now time.Time)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.inbox = append(l.inbox, event)
	if !l.taken {
		l.ring()
	}
	return true
}

// tell is post for those who may take the turn themselves, which spares a change to the goroutine of l and back: the
// code, the attempts, the writer. Not to be called with Engine.mu held.
func (l *live) tell(event func(now time.Time)) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.inbox = append(l.inbox, event)
	busy := l.taken
	l.taken = true
	l.mu.Unlock()
	if busy {
		return true // who has the turn does it
	}
	for {
		now := clock()
		l.turn(now)
		l.save(now)
		if l.needed() {
			l.mu.Lock()
			l.handed = true
			l.ring()
			l.mu.Unlock()
			return true
		}
		l.timer.Reset(l.next(now))
		if l.yield() {
			return true
		}
	}
}

// needed reports whether only the goroutine of l can go on: it begins runs and ends them.
func (l *live) needed() bool {
	return l.m == nil || l.stopping || l.m.code == absent || l.m.over && l.m.saved == l.m.flushes
}

// turn does what has come, and what follows from it.
func (l *live) turn(now time.Time) {
	if l.m != nil {
		l.m.crowded = l.e.crowded()
	}
	for _, event := range l.take() {
		event(now)
		l.obey()
	}
	if l.m != nil && l.m.code != absent {
		l.m.settle(now)
		l.obey()
	}
}

func (l *live) take() []func(time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.inbox
	l.inbox = nil
	return events
}

// yield gives the turn up, unless something has come meanwhile (false).
func (l *live) yield() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken = len(l.inbox) > 0
	return !l.taken
}

// await returns when the goroutine of l has the turn and something to do.
func (l *live) await() {
	for {
		select {
		case <-l.bell:
		case <-l.timer.C: // who has the turn sets it again
		}
		l.mu.Lock()
		mine := l.handed || !l.taken
		if mine {
			l.taken, l.handed = true, false
		}
		l.mu.Unlock()
		if mine {
			return
		}
	}
}

func (l *live) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}
