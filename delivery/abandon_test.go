package delivery

import (
	"slices"
	"testing"

	"github.com/parley-io/parley/transport"
)

// A reader has no partition to lose, so nothing but the queue keeps what is behind a message that is given back from being
// begun before it comes again.
func TestWhatIsGivenBackTakesAlongWhatIsBehindIt(t *testing.T) {
	t.Parallel()
	q := newQueue(1)
	other := make(chan struct{})
	add := func(key string, yield chan struct{}) *task {
		x := &task{ordered: true, delivery: &transport.Delivery{Envelope: &transport.Envelope{Key: key}, Yield: yield}}
		if !q.add(x) {
			t.Fatal("the queue is closed")
		}
		return x
	}
	first, second, third := add("k", nil), add("k", nil), add("k", nil)
	later, stranger := add("k", other), add("l", nil) // won again meanwhile, and of another key
	if got, _ := q.next(false); got != first {
		t.Fatalf("next = %v; want the first", got)
	}
	if got, want := q.abandon(first), []*task{first, second, third}; !slices.Equal(got, want) {
		t.Errorf("abandon = %v; want the first, the second and the third: %v", got, want)
	}
	for n, want := range []*task{stranger, later} {
		if got, _ := q.next(true); got != want {
			t.Errorf("next = %v after %d others; want %v", got, n, want)
		}
	}
}
