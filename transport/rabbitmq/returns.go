package rabbitmq

import (
	"strconv"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// returns are the messages that the server gave back because no queue takes them. It confirms them right after. The zero
// returns is ready.
type returns struct {
	mu    sync.Mutex
	last  uint64
	watch map[string]bool // by number: it came back
}

// expect begins to look out for a message. Its number, which it gets as the property correlation-id, tells it from others,
// also where one message is published twice.
func (r *returns) expect(m *amqp.Publishing) (number string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch == nil {
		r.watch = make(map[string]bool)
	}
	r.last++
	m.CorrelationId = strconv.FormatUint(r.last, 36)
	r.watch[m.CorrelationId] = false
	return m.CorrelationId
}

// forget ends that, and reports whether the message came back.
func (r *returns) forget(number string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	back := r.watch[number]
	delete(r.watch, number)
	return back
}

func (r *returns) note(m amqp.Return) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.watch[m.CorrelationId]; ok {
		r.watch[m.CorrelationId] = true
	}
}
