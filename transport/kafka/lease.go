package kafka

import (
	"sync"
	"time"
)

// lease is how long a receiver may take itself for a member of its group. The zero lease does not hold.
type lease struct {
	mu        sync.Mutex
	confirmed time.Time // when the last heartbeat was sent to which the cluster said yes
}

func (l *lease) confirm(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed = sent
}

// end says that the receiver is no member any longer.
func (l *lease) end() { l.confirm(time.Time{}) }

// holds goes by the wall clock, too: the other one stands still while a virtual machine is suspended.
func (l *lease) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return !l.confirmed.IsZero() && now.Sub(l.confirmed) < Lease && now.Round(0).Sub(l.confirmed.Round(0)) < Lease
}

// valid reports whether r may take what it has for its own.
func (r *receiver) valid() bool { return r.reader() || r.lease.holds() }
