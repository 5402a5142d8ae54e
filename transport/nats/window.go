package nats

import (
	"sync"

	"github.com/parley-io/parley/transport"
)

// window counts the unsettled deliveries of one Receive, which may have a receiver for each partition.
type window struct {
	credit *transport.Credit

	mu     sync.Mutex
	used   int
	hungry map[kicker]bool // who waits for room, or for the end
}

// kicker is a loop that can be woken.
type kicker interface{ kick() }

func newWindow(c *transport.Credit) *window {
	if c == nil {
		c = transport.NewCredit(defaultCredit)
	}
	return &window{credit: c, hungry: make(map[kicker]bool)}
}

// limit is how many unsettled deliveries the credit allows.
func (w *window) limit() int {
	n, _ := w.credit.Now()
	return min(n, MaxCredit)
}

// take counts one delivery more. Where there is no room it reports false, and k is woken when there may be.
func (w *window) take(k kicker) bool {
	n := w.limit()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.used >= n {
		w.hungry[k] = true
		return false
	}
	w.used++
	return true
}

// put counts one less.
func (w *window) put() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used--
	for k := range w.hungry {
		k.kick()
	}
	clear(w.hungry)
}

// idle reports whether nothing is unsettled; if something is, k is woken when that may have changed.
func (w *window) idle(k kicker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.used > 0 {
		w.hungry[k] = true
	}
	return w.used == 0
}
