package mem

// fifo is a queue whose items can be searched. Adding and taking cost O(1) on average; the zero fifo is empty.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

// all are the items, oldest first, until the next push or pop.
func (q *fifo[T]) all() []T { return q.items[q.head:] }

// pop takes the oldest item of a queue that has one.
func (q *fifo[T]) pop() T {
	v := q.items[q.head]
	clear(q.items[q.head : q.head+1]) // for the garbage collector
	q.head++
	if q.head >= 64 && q.head*2 >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}
