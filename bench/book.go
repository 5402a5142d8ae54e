package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const (
	letterBytes = 200
	letterKeys  = 1000
)

// letter is what the body of a message says. The rest of its bytes is zero.
type letter struct {
	number int           // from 0 in its queue; those of one key follow each other by letterKeys
	sent   time.Duration // on the clock of the messenger
}

// key is that of one of so many.
func (l letter) key(keys int) string { return "key-" + strconv.Itoa(l.number%keys) }

func (l letter) body() []byte {
	b := make([]byte, letterBytes)
	binary.BigEndian.PutUint64(b, uint64(l.number))
	binary.BigEndian.PutUint64(b[8:], uint64(l.sent))
	return b
}

func readLetter(body []byte) letter {
	return letter{int(binary.BigEndian.Uint64(body)), time.Duration(binary.BigEndian.Uint64(body[8:]))}
}

// book is what has been handled of a queue: each message once, however often it was delivered.
type book struct {
	from time.Duration // on the clock of the messenger; what was sent before is left over from another measurement

	mu        sync.Mutex
	seen      []bool // by number
	count     int
	misplaced int       // messages whose predecessor by key was not handled when they were
	began     time.Time // of what is measured
	before    int       // messages that do not count because they came before, or with the begin
	last      time.Time
	took      []time.Duration // of those that count: from sent to handled
}

// begin starts what is measured. The first message does where nothing has been handled yet, and has done where more than
// most have.
func (b *book) begin(most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count > 0 && b.count <= most {
		b.began, b.before, b.took = time.Now(), b.count, nil
	}
}

// note takes down that a message was handled; now is on the clock of the messenger.
func (b *book) note(now time.Duration, body []byte) {
	l := readLetter(body)
	if l.sent < b.from {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.seen) <= l.number {
		b.seen = append(b.seen, false)
	}
	if b.seen[l.number] {
		return
	}
	b.seen[l.number] = true
	if before := l.number - letterKeys; before >= 0 && !b.seen[before] {
		b.misplaced++
	}
	b.count++
	b.last = time.Now()
	if b.count == 1 {
		b.began, b.before = b.last, 1
		return
	}
	b.took = append(b.took, now-l.sent)
}

// wait waits until n messages have been handled.
func (b *book) wait(ctx context.Context, n int) error {
	handled := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.count
	}
	if !poll(ctx, func() bool { return handled() >= n }) {
		return fmt.Errorf("%d of %d messages were handled: %w", handled(), n, context.Cause(ctx))
	}
	return nil
}

// figures are those since the begin.
func (b *book) figures() figures {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := figures{Count: b.count - b.before, Before: b.before, Took: b.last.Sub(b.began)}
	f.P50, f.P99 = percentiles(b.took)
	return f
}
