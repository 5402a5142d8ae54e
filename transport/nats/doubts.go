package nats

import (
	"errors"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// doubts are the messages whose outcome this Broker does not know. The server may have stored one; then it refuses a
// whole batch in which it comes again. So a repetition goes alone, and keeps no stranger waiting.
type doubts struct {
	mu     sync.Mutex
	recent map[doubt]bool
	older  map[doubt]bool // those that were recent before the last turn
	turned time.Time
}

// doubt is a message as a server deduplicates it.
type doubt struct{ stream, id string }

// note remembers a message for as long as the server remembers it, at least: after that, it takes it for another one.
func (d *doubts) note(stream string, i *item) {
	if i.id == "" { // one that waits for its NotBefore; those are never in a batch
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn()
	if d.recent == nil {
		d.recent = make(map[doubt]bool)
	}
	d.recent[doubt{stream, i.id}] = true
}

// about reports whether a message may be a repetition.
func (d *doubts) about(stream string, i *item) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.recent)+len(d.older) == 0 {
		return false
	}
	d.turn()
	return d.recent[doubt{stream, i.id}] || d.older[doubt{stream, i.id}]
}

// turn forgets what the server has forgotten. d.mu is held.
func (d *doubts) turn() {
	switch age := time.Since(d.turned); {
	case age > 2*DedupeWindow:
		d.recent, d.older = nil, nil
	case age > DedupeWindow:
		d.recent, d.older = nil, d.recent
	default:
		return
	}
	d.turned = time.Now()
}

// unknown reports whether an error leaves it open whether a message is stored.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, transport.ErrNotSent) && !errors.Is(err, transport.ErrRefused)
}
