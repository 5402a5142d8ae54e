package rabbitmq

import (
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// returns are the messages that the server gave back because no queue takes them. It confirms them right after.
type returns struct {
	mu    sync.Mutex
	watch map[route]*watched
}

// route tells a message apart enough: who has the same is returned for the same reason.
type route struct{ exchange, key, id string }

type watched struct {
	sends    int // that wait to know
	returned bool
}

func newReturns() returns { return returns{watch: make(map[route]*watched)} }

// expect begins to look out for a message.
func (r *returns) expect(m route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watch[m]
	if w == nil {
		w = &watched{}
		r.watch[m] = w
	}
	w.sends++
}

// forget ends that, and reports whether the message came back.
func (r *returns) forget(m route) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.watch[m]
	if w.sends--; w.sends == 0 {
		delete(r.watch, m)
	}
	return w.returned
}

func (r *returns) note(m amqp.Return) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.watch[route{m.Exchange, m.RoutingKey, m.MessageId}]; w != nil {
		w.returned = true
	}
}
