package delivery

import (
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// task is a delivery from its arrival until it is settled. One worker or one hand-off owns it at a time.
type task struct {
	delivery *transport.Delivery
	hold     *hold
	ordered  bool
	attempt  int       // that runs or comes next
	tried    bool      // an attempt has begun here
	first    time.Time // when the first one here began
	began    time.Time // when the present one began

	lane *lane // of an ordered task that was admitted
	next *task // in the list that holds it
}

// lane holds the tasks of one key behind the one that is ready, waiting or with its owner.
type lane struct{ behind list }

// queue decides which task comes next: in the order of arrival, one task of a lane at a time. A task that waits for its
// retry keeps its lane, but no worker. All methods may be called concurrently.
type queue struct {
	mu      sync.Mutex
	wake    sync.Cond // of mu
	ready   list
	waiting map[*task]*time.Timer
	lanes   map[string]*lane // of the keys that have a task
	spare   []*lane
	limit   int // tasks that workers may have at once
	busy    int // that they have
	paused  bool
	permits int // tasks that may be taken although it is paused
	closed  bool
}

func newQueue(limit int) *queue {
	q := &queue{waiting: make(map[*task]*time.Timer), lanes: make(map[string]*lane), limit: limit}
	q.wake.L = &q.mu
	return q
}

// add takes a task in; false once the queue is closed.
func (q *queue) add(t *task) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if t.ordered {
		key := t.delivery.Envelope.Key
		if l := q.lanes[key]; l != nil {
			t.lane = l
			l.behind.push(t)
			return true
		}
		t.lane = q.newLane()
		q.lanes[key] = t.lane
	}
	q.push(t)
	return true
}

// next waits for a task that is ready; nil once the queue is closed. had is whether the worker that asks had one until
// now. probe: the queue is paused, and this task was permitted.
func (q *queue) next(had bool) (t *task, probe bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if had {
		q.busy--
	}
	for !q.closed && (q.ready.head == nil || q.busy >= q.limit || q.paused && q.permits == 0) {
		q.wake.Wait()
	}
	if q.closed {
		return nil, false
	}
	if probe = q.paused; probe {
		q.permits--
	}
	q.busy++
	return q.ready.pop(), probe
}

// later makes t ready again after d; false, and nothing happens, once the queue is closed.
func (q *queue) later(t *task, d time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting[t] = time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if _, ok := q.waiting[t]; ok {
			delete(q.waiting, t)
			q.push(t)
		}
	})
	return true
}

// leave lets the successor of t, which is ended, be ready.
func (q *queue) leave(t *task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.follow(t)
}

// follow makes what is behind t, which has left, ready. q.mu is held.
func (q *queue) follow(t *task) {
	if t.lane == nil {
		return
	}
	if s := t.lane.behind.pop(); s != nil {
		q.push(s)
		return
	}
	q.removeLane(t)
}

// abandon takes t out, and those behind it that came with the same hold of its partition, in their order: none of them
// may overtake another. What came when the partition had been lost and won again stays.
func (q *queue) abandon(t *task) []*task {
	out := []*task{t}
	if t.lane == nil {
		return out
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	out = t.lane.behind.take(out, func(x *task) bool { return x.delivery.Yield == t.delivery.Yield })
	q.follow(t)
	return out
}

// close ends next and later, and takes out what nobody has begun or what waits for a retry, each key in order.
func (q *queue) close() (out []*task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	out = q.ready.drain(out)
	for t, timer := range q.waiting {
		timer.Stop()
		out = append(out, t)
	}
	clear(q.waiting)
	for _, l := range q.lanes {
		out = l.behind.drain(out)
	}
	q.wake.Broadcast()
	return out
}

// withdraw takes out what nobody has begun or what waits for a retry among the tasks that yield ends, each key in order.
func (q *queue) withdraw(yield <-chan struct{}) (out []*task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ends := func(t *task) bool { return t.delivery.Yield == yield }
	out = q.ready.take(out, ends)
	for t, timer := range q.waiting {
		if ends(t) {
			timer.Stop()
			delete(q.waiting, t)
			out = append(out, t)
		}
	}
	heads := out
	for _, l := range q.lanes {
		out = l.behind.take(out, ends)
	}
	for _, t := range heads {
		q.follow(t)
	}
	return out
}

// steer holds back what is ready while paused, but for as many tasks as permits, and bounds how many workers have at once.
func (q *queue) steer(paused bool, permits, limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused, q.permits, q.limit = paused, permits, limit
	q.wake.Broadcast()
}

func (q *queue) push(t *task) {
	q.ready.push(t)
	q.wake.Signal()
}

func (q *queue) newLane() *lane {
	if n := len(q.spare); n > 0 {
		l := q.spare[n-1]
		q.spare = q.spare[:n-1]
		return l
	}
	return new(lane)
}

func (q *queue) removeLane(t *task) {
	delete(q.lanes, t.delivery.Envelope.Key)
	q.spare = append(q.spare, t.lane)
	t.lane = nil
}

// list is a queue of tasks, linked by themselves.
type list struct{ head, tail *task }

func (l *list) push(t *task) {
	if l.head == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
}

func (l *list) pop() *task {
	t := l.head
	if t != nil {
		l.head, t.next = t.next, nil
	}
	return t
}

func (l *list) drain(out []*task) []*task {
	for t := l.pop(); t != nil; t = l.pop() {
		out = append(out, t)
	}
	return out
}

// take moves the tasks that fit from l to out; the others keep their order.
func (l *list) take(out []*task, fits func(*task) bool) []*task {
	var rest list
	for t := l.pop(); t != nil; t = l.pop() {
		if fits(t) {
			out = append(out, t)
		} else {
			rest.push(t)
		}
	}
	*l = rest
	return out
}
