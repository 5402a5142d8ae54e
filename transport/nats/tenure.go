package nats

import (
	"context"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// tenure is the time in which a Receive has a partition.
type tenure struct {
	partition int
	lease     *lease // that the ownership key names
	fence     uint64 // revision of the ownership key
	receiver  *receiver
	cancel    context.CancelFunc // lets the receiver wind up

	yield   chan struct{}
	revoked chan struct{}
	hold    *time.Timer // runs while what is unsettled is waited for

	mu       sync.Mutex // for the timer, which comes from a goroutine of its own
	yielding bool
	ended    bool // revoked is closed
	lost     bool // it passed to another without our doing; set before revoked is closed
	err      error
}

// valid reports whether nobody else can have the partition.
func (t *tenure) valid() bool { return t.lease.valid() && !closed(t.revoked) }

// revocation is closed when another has, or may have, the partition; nil for no tenure.
func (t *tenure) revocation() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.revoked
}

// giving reports whether the hand-over has begun.
func (t *tenure) giving() bool { return closed(t.yield) }

// giveUp begins the hand-over: nothing new, and what runs has [transport.HandOver] to end.
func (t *tenure) giveUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.yielding {
		return
	}
	t.yielding = true
	close(t.yield)
	t.cancel()
	t.hold = time.AfterFunc(transport.HandOver, func() { t.revoke(false) })
}

// lose ends the tenure at once: another has the partition, or may have it.
func (t *tenure) lose() {
	t.giveUp()
	t.revoke(true)
}

func (t *tenure) revoke(lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended, t.lost = true, lost
	close(t.revoked)
}

// end is called once the receiver has ended, with an error if it could not go on: then what is unsettled is revoked at
// once. It reports whether the partition is still ours to be passed on.
func (t *tenure) end(err error) (ours bool) {
	t.giveUp() // if the receiver ended by itself
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hold.Stop()
	t.err = err
	if err != nil && !t.ended {
		t.ended = true
		close(t.revoked)
	}
	return !t.lost
}

// closed reports whether c is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
