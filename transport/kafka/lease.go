package kafka

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lease is how long a receiver may take itself for a member of its group. It sees answers to heartbeats without their
// content; but a heartbeat goes out only if the one before it was answered well. So an answer confirms the last but
// one: a process that was frozen, and sends one heartbeat before it learns that it was expelled, gains nothing by it.
// The zero lease does not hold.
type lease struct {
	mu        sync.Mutex
	answered  time.Time // when the last answered heartbeat was sent
	confirmed time.Time // when the last confirmed one was
}

const (
	heartbeatKey = 12 // in the protocol
	syncKey      = 14
)

var _ kgo.HookBrokerE2E = (*lease)(nil)

// OnBrokerE2E implements the client library's hook.
func (l *lease) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key != heartbeatKey && key != syncKey || e.Err() != nil {
		return
	}
	sent := time.Now().Add(-e.DurationE2E())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered, l.confirmed = sent, l.answered
}

// begin says that the receiver has become a member, or is one again: the last answer was a good one.
func (l *lease) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed = l.answered
}

// end says that the receiver is no member any longer.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered, l.confirmed = time.Time{}, time.Time{}
}

func (l *lease) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.confirmed.IsZero() && time.Since(l.confirmed) < Lease
}
