package kafka

import (
	"sync/atomic"
	"time"
)

// lease is how long a receiver may take itself for a member of its group. The zero lease does not hold.
type lease struct {
	confirmed atomic.Pointer[time.Time] // when the last heartbeat was sent to which the cluster said yes; nil = never
}

func (l *lease) confirm(sent time.Time) { l.confirmed.Store(&sent) }

// end says that the receiver is no member any longer.
func (l *lease) end() { l.confirmed.Store(nil) }

// holds goes by the wall clock, too: the other one stands still while a virtual machine is suspended.
func (l *lease) holds() bool {
	confirmed := l.confirmed.Load()
	if confirmed == nil {
		return false
	}
	now := time.Now()
	return now.Sub(*confirmed) < Lease && now.Round(0).Sub(confirmed.Round(0)) < Lease
}

// valid reports whether r may take what it has for its own.
func (r *receiver) valid() bool { return r.reader() || r.lease.holds() }
