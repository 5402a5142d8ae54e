package rabbitmq

import (
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// returns are the messages that the server gave back because no queue takes them. It confirms them right after. The zero
// returns is ready.
type returns struct {
	mu    sync.Mutex
	last  int64
	watch map[int64]bool // by number: it came back
}

// numberHeader tells published messages apart, also where one is published twice.
const numberHeader = "x-parley-number"

// expect begins to look out for a message, whose number it writes into the headers.
func (r *returns) expect(headers amqp.Table) (number int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch == nil {
		r.watch = make(map[int64]bool)
	}
	r.last++
	r.watch[r.last] = false
	headers[numberHeader] = r.last
	return r.last
}

// forget ends that, and reports whether the message came back.
func (r *returns) forget(number int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	back := r.watch[number]
	delete(r.watch, number)
	return back
}

func (r *returns) note(m amqp.Return) {
	number, _ := m.Headers[numberHeader].(int64)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.watch[number]; ok {
		r.watch[number] = true
	}
}
