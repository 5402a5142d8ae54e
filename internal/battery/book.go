package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// book is the outside view of a run: what publishers meant to send and what they were told, what handlers did, and what
// was done to all of them. What is lost comes from comparing these, never from a broker's own counters.
// Safe for concurrent use.
type book struct {
	mu      sync.Mutex
	lanes   map[string]*lane
	faults  []fault
	changed chan struct{}

	sent, stored, refused, handled, failed int
	waiting                                int       // confirmed and not handled, but for those that can't be
	firstSent, lastStored, lastEnded       time.Time // by what the workers' clock says
	wrong                                  []string  // lines that nobody understands
}

// lane is what one goroutine of a publisher sends, in order.
type lane struct {
	name    string
	entries []entry // by number, from 1
	starts  []start // of handlers, as they were heard
}

// entry is a message. Times are nanoseconds, 0 = not heard of.
type entry struct {
	sent, due, stored, ended int64 // ended: the first handler of it
	refused                  bool
	kind                     kind
}

// awaited reports whether e has to be handled.
func (e *entry) awaited() bool { return e.stored > 0 && e.kind != poison && e.kind != stranger }

// start is a start of a handler.
type start struct {
	number int
	by     *process
	at     int64
	ended  int64 // 0 = not heard of
	failed bool
}

// fault is what was done to somebody. Its time is that in which it may have had an effect.
type fault struct {
	what        string
	of          *process // nil = everybody, as with the broker and the network
	from, until time.Time
}

// lookEvery is between two looks at a book that changes all the time.
const lookEvery = 10 * time.Millisecond

func newBook() *book { return &book{lanes: make(map[string]*lane), changed: make(chan struct{})} }

// hear takes a line of a worker; see worker.
func (b *book) hear(p *process, line string) {
	words := strings.Fields(line)
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	if len(words) < 4 || words[0] == "wrong" || words[0] == "note" {
		p.told(words)
		return
	}
	number, err1 := strconv.Atoi(words[2])
	at, err2 := strconv.ParseInt(words[3], 10, 64)
	if err1 != nil || err2 != nil || number < 1 {
		b.wrong = append(b.wrong, fmt.Sprintf("%s said %q", p.name, line))
		return
	}
	l := b.lanes[words[1]]
	if l == nil {
		l = &lane{name: words[1]}
		b.lanes[l.name] = l
	}
	for len(l.entries) < number {
		l.entries = append(l.entries, entry{})
	}
	e := &l.entries[number-1]
	switch words[0] {
	case "sending":
		if b.sent++; b.firstSent.IsZero() {
			b.firstSent = time.Unix(0, at)
		}
		e.sent = at
		if p.Mixed {
			e.kind = kindOf(load{Lane: l.name, Number: number})
		}
		if len(words) > 4 {
			e.due, _ = strconv.ParseInt(words[4], 10, 64)
		}
	case "stored":
		b.stored++
		e.stored = at
		if e.awaited() && e.ended == 0 {
			b.waiting++
		}
		b.lastStored = newest(b.lastStored, at)
	case "refused":
		b.refused++
		e.refused = true
	case "begin":
		l.starts = append(l.starts, start{number: number, by: p, at: at})
		p.begun++
	case "end", "failed":
		b.finish(l, e, p, number, at, words[0] == "failed")
	default:
		b.wrong = append(b.wrong, fmt.Sprintf("%s said %q", p.name, line))
	}
}

func (b *book) finish(l *lane, e *entry, p *process, number int, at int64, failed bool) {
	for i := range slices.Backward(l.starts) {
		if x := &l.starts[i]; x.by == p && x.number == number {
			x.ended, x.failed = at, failed
			break
		}
	}
	if failed {
		b.failed++
		return
	}
	if e.ended == 0 {
		b.handled++
		if e.ended = at; e.awaited() {
			b.waiting--
		}
	}
	e.ended = min(e.ended, at)
	b.lastEnded = newest(b.lastEnded, at)
}

func newest(t time.Time, at int64) time.Time {
	if n := time.Unix(0, at); n.After(t) {
		return n
	}
	return t
}

func (b *book) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// note notes a fault once it is over.
func (b *book) note(f fault) {
	b.with(func() { b.faults = append(b.faults, f) })
}

// with does something that b guards.
func (b *book) with(do func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	do()
	b.wake()
}

// until waits until holds, which is asked with mu held a moment after each change.
func (b *book) until(ctx context.Context, holds func() bool) error {
	for {
		b.mu.Lock()
		ok, changed := holds(), b.changed
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
			sleep(ctx, lookEvery)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// repeats is how many handlers began beyond the first of each message that was handled. mu is held.
func (b *book) repeats() (n int) {
	for _, l := range b.lanes {
		n += len(l.starts)
	}
	return n - b.handled
}

// rate is how many messages were confirmed a second.
func (b *book) rate() float64 {
	return float64(b.stored) / max(b.lastStored.Sub(b.firstSent).Seconds(), 1)
}

// progress is how many messages have been handled, and how many are confirmed and wait for it.
func (b *book) progress() (handled, waiting int) {
	b.with(func() { handled, waiting = b.handled, b.waiting })
	return handled, waiting
}
