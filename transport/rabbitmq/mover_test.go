package rabbitmq

import (
	"container/heap"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"pgregory.net/rapid"
)

// serverAhead is by how much the server of these tests is ahead of what a test's clock counts from.
const serverAhead = 1_000_000 * time.Second

// aMover is one that knows the server's time to the millisecond.
func aMover() (*mover, func(at time.Time) int64) {
	b := &Broker{clock: newClock(), names: names{"p"}}
	b.clock.low, b.clock.high, b.clock.told = serverAhead, serverAhead+time.Millisecond, 0
	b.clock.answers = 1
	return &mover{b: b}, func(at time.Time) int64 { return int64(serverAhead + at.Sub(b.clock.began)) }
}

func TestWhatIsLateAlreadyIsDueByTheServersClock(t *testing.T) {
	t.Parallel()
	m, server := aMover()
	now := time.Now()
	for _, c := range []struct {
		what    string
		headers amqp.Table
		want    time.Duration
	}{
		{"held up for 20 s", amqp.Table{restHeader: int64(30 * time.Second), dueHeader: server(now.Add(10 * time.Second))}, 10 * time.Second},
		{"of a sender that knew the time badly", amqp.Table{restHeader: int64(time.Second), dueHeader: server(now.Add(2 * time.Second))}, time.Second},
		{"of a sender that did not know the time", amqp.Table{restHeader: int64(3 * time.Second)}, 3 * time.Second},
		{"overdue", amqp.Table{restHeader: int64(30 * time.Second), dueHeader: server(now.Add(-time.Hour))}, -time.Hour},
	} {
		m.held = nil
		m.take(&amqp.Delivery{Headers: c.headers}, true)
		if wait := m.held[0].due.Sub(now); wait < c.want || wait > c.want+time.Minute/6 {
			t.Errorf("what is %s waits %v; want %v", c.what, wait, c.want)
		}
	}
	m.held, m.b.clock = nil, newClock()
	m.take(&amqp.Delivery{Headers: amqp.Table{restHeader: int64(30 * time.Second), dueHeader: server(now)}}, true)
	if wait := m.held[0].due.Sub(now); wait < 30*time.Second {
		t.Errorf("where the server's time is not known a message waits %v; want its rest of 30s", wait)
	}
}

func TestWhatIsHeldIsHandedOnInTheOrderInWhichItIsDue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, _ := aMover()
		for _, rest := range rapid.SliceOf(rapid.Int64Range(0, int64(2*slack))).Draw(t, "rests") {
			m.take(&amqp.Delivery{Headers: amqp.Table{restHeader: rest}}, true)
		}
		var order []time.Time
		for len(m.held) > 0 {
			order = append(order, heap.Pop(&m.held).(*holding).due)
		}
		if !slices.IsSortedFunc(order, time.Time.Compare) {
			t.Errorf("handed on at %v; want the earliest first", order)
		}
	})
}

func TestWhatIsHandedOnHasNothingOfItsWay(t *testing.T) {
	t.Parallel()
	got := forward(&amqp.Delivery{MessageId: "id", ContentType: "text/plain", CorrelationId: "7", Body: []byte("b"), Headers: amqp.Table{
		attributeStart + "id": "id", sentHeader: int64(1), targetHeader: "TO.x", restHeader: int64(1), dueHeader: int64(1),
		"x-death": []any{}, "x-first-death-queue": "q", "x-delivery-count": int64(2),
	}})
	headers := fields(got.headers)
	n := 0
	for range headers.all() {
		n++
	}
	if n != 2 || headers.number(sentHeader) != 1 || headers.find(attributeStart+"id").raw != "id" {
		t.Errorf("headers = %q; want the attributes and %s", headers, sentHeader)
	}
	if got.id != "id" || got.contentType != "text/plain" || string(got.body) != "b" {
		t.Errorf("forward = %+v; want the message as it was sent", got)
	}
}
