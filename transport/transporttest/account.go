package transporttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/parley-io/parley/transport"
)

// account is the outside view of a flow of messages: what publishers meant to send and what they were told, and what
// each group handled. The truth about losses comes from comparing the two, never from a broker's own counters.
// Safe for concurrent use.
type account struct {
	mu      sync.Mutex
	changed chan struct{}
	entries map[identity]*entry
	ordered []*entry
	stored  int                   // entries that are confirmed
	handled map[string][]identity // by group, in the order of handling
}

// identity tells messages apart as brokers must.
type identity struct{ id, copy, group string }

func identify(e *transport.Envelope) identity { return identity{e.ID, e.Copy, e.Group} }

func (i identity) String() string {
	s := i.id
	if i.copy != "" {
		s += " copy " + i.copy
	}
	if i.group != "" {
		s += " for " + i.group
	}
	return s
}

type entry struct {
	identity
	lane lane
	seq  int // by the order of sending
	fate fate
}

// lane is where order is kept: what one source sends with one key.
type lane struct{ source, key string }

type fate uint8

const (
	unknown   fate = iota // sent, and the answer is not known
	confirmed             // must be handled
	rejected              // must not be handled
)

func newAccount() *account {
	return &account{changed: make(chan struct{}), entries: make(map[identity]*entry), handled: make(map[string][]identity)}
}

// sending notes what is about to be sent. The order of the calls is the order that is expected in each lane.
func (l *account) sending(batch ...*transport.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range batch {
		if x := l.entries[identify(e)]; x != nil { // a repeat
			if x.fate == rejected {
				x.fate = unknown
			}
			continue
		}
		x := &entry{identity: identify(e), lane: lane{e.Source, e.Key}, seq: len(l.ordered) + 1}
		l.entries[x.identity] = x
		l.ordered = append(l.ordered, x)
	}
}

// sent notes the answers. A confirmation is never taken back by a later failure of a repeat.
func (l *account) sent(batch []*transport.Envelope, receipts []transport.Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range batch {
		x := l.entries[identify(e)]
		switch err := receipts[i].Err; {
		case err == nil:
			if x.fate != confirmed {
				l.stored++
			}
			x.fate = confirmed
		case x.fate == unknown && (errors.Is(err, transport.ErrNotSent) || errors.Is(err, transport.ErrRefused)):
			x.fate = rejected
		}
	}
	l.wake()
}

// took notes that group handled e.
func (l *account) took(group string, e *transport.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handled[group] = append(l.handled[group], identify(e))
	l.wake()
}

// count is how many handlings of group are noted, repeated ones included.
func (l *account) count(group string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.handled[group])
}

// handlings is how often the channel's one group has handled each ID.
func (l *account) handlings() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := make(map[string]int)
	for _, id := range l.handled[""] {
		times[id.id]++
	}
	return times
}

// handledBy reports whether group has handled the first copy of an ID.
func (l *account) handledBy(group, id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.handled[group], identity{id: id})
}

// confirmations is how many messages are known to be stored.
func (l *account) confirmations() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stored
}

// until waits for holds, which is asked after each change, or until ctx is done.
func (l *account) until(ctx context.Context, holds func() bool) {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// settled waits until each group has handled everything that was confirmed for it, or ctx is done.
func (l *account) settled(ctx context.Context, groups ...string) {
	for _, g := range groups {
		targeted := l.elsewhere(g)
		l.until(ctx, func() bool {
			return l.count(g) >= l.confirmations()-targeted && len(l.lost(g)) == 0 // the first is quick, the second is right
		})
	}
}

// faults are the deviations that a check allows.
type faults struct {
	Duplicates bool // a fault was made that may hand messages out again
	Unordered  bool // the channel promises no order
}

// verify reports what a group's handlings have wrong: confirmed - handled and handled - sent must be empty, nothing
// is handled twice or out of its lane's order but as allowed.
func (l *account) verify(s *Scene, group string, allowed faults) {
	report := func(what, want string, which []string) {
		if len(which) > 0 {
			s.Errorf("group %q: got %d %s (%s); want %s", group, len(which), what, clip(which), want)
		}
	}
	report("confirmed messages that were never handled", "none lost", l.lost(group))
	l.mu.Lock()
	defer l.mu.Unlock()
	var invented, rejects, foreign, twice, late []string
	seen := make(map[identity]bool)
	last := make(map[lane]*entry)
	for _, id := range l.handled[group] {
		x := l.entries[id]
		switch {
		case x == nil:
			invented = append(invented, id.String())
			continue
		case x.fate == rejected:
			rejects = append(rejects, id.String())
		case id.group != "" && id.group != group:
			foreign = append(foreign, id.String())
		}
		if seen[id] {
			twice = append(twice, id.String())
			continue
		}
		seen[id] = true
		if before := last[x.lane]; before != nil && before.seq > x.seq {
			late = append(late, fmt.Sprintf("%v after %v", x, before))
			continue
		}
		last[x.lane] = x
	}
	report("messages that nobody sent", "none invented", invented)
	report("messages whose receipt said that they are not stored", "none of them", rejects)
	report("messages that were sent to another group", "none of them", foreign)
	if !allowed.Duplicates {
		report("messages handled more than once", "each once, as no fault was made", twice)
	}
	if !allowed.Unordered {
		report("messages out of the order of their source and key", "the order in which they were sent", late)
	}
}

func (l *account) lost(group string) (lost []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	handled := make(map[identity]bool, len(l.handled[group]))
	for _, id := range l.handled[group] {
		handled[id] = true
	}
	for _, x := range l.ordered {
		if x.fate == confirmed && !handled[x.identity] && (x.group == "" || x.group == group) {
			lost = append(lost, x.String())
		}
	}
	return lost
}

// summary is the log of a queue in numbers, for [Scene.Notef].
func (l *account) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := 0
	for _, x := range l.ordered {
		if x.fate == unknown {
			open++
		}
	}
	return fmt.Sprintf("%d sent, %d confirmed, %d of unknown outcome, %d handlings", len(l.ordered), l.stored, open, len(l.handled[""]))
}

// elsewhere is how many messages were sent to other groups only.
func (l *account) elsewhere(group string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.ordered {
		if x.group != "" && x.group != group {
			n++
		}
	}
	return n
}

func (l *account) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func clip(which []string) string {
	const show = 5
	if len(which) > show {
		which = append(slices.Clone(which[:show]), "…")
	}
	return strings.Join(which, ", ")
}
