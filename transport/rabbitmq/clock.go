package rabbitmq

import (
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// clock knows the server's time between two bounds, which one answer after the other narrows. It counts on the process's
// own clock for how fast time passes, and not for what time it is. Its methods may be called concurrently.
type clock struct {
	began time.Time     // what own times are counted from
	first chan struct{} // closed once the time is known

	mu        sync.Mutex
	answers   int           // that agree; 0 = the time is not known
	told      time.Duration // own time at which the bounds were as they are
	low, high time.Duration // what to add to own times for the server's, in Unix time
}

func newClock() *clock { return &clock{began: time.Now(), first: make(chan struct{})} }

const (
	// drift is by how much two clocks may run apart, as a part of the time that passes: what NTP corrects at the most.
	drift = 2000
	// The first answers come often, for one of the server's seconds, so that the bounds are about askOften apart; some more
	// each second, so that they are as close as the way of a message allows; then it is seldom that they make good for drift.
	askOften, oftenAnswers = 50 * time.Millisecond, 20
	eachSecondAnswers      = 30
	askSeldom              = 10 * time.Second
	askAgain               = 2 * time.Second // no answer has come
)

// observe takes an answer: at some moment between asked and answered the server's clock showed a second of Unix time, or
// a part of that second. An answer that contradicts all before it shows that the server's clock was set.
func (c *clock) observe(asked, answered time.Time, second int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, to := asked.Sub(c.began), answered.Sub(c.began)
	low := time.Duration(second)*time.Second - to
	high := time.Duration(second+1)*time.Second - from
	before, after := c.bounds(to)
	switch {
	case c.answers == 0:
		close(c.first)
	case max(low, before) <= min(high, after):
		low, high = max(low, before), min(high, after)
	default:
		c.answers = 0
	}
	c.low, c.high, c.told = low, high, to
	c.answers++
}

// bounds are low and high at an own time. mu is held.
func (c *clock) bounds(own time.Duration) (low, high time.Duration) {
	apart := (own - c.told).Abs() / drift
	return c.low - apart, c.high + apart
}

// latest is the server's time in nanoseconds of Unix time, or a little later; 0 = it is not known.
func (c *clock) latest(now time.Time) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == 0 {
		return 0
	}
	own := now.Sub(c.began)
	_, high := c.bounds(own)
	return int64(own + high)
}

// until is how long it takes until a time of the server's, or a little longer.
func (c *clock) until(server int64, now time.Time) (wait time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := now.Sub(c.began)
	low, _ := c.bounds(own)
	return time.Duration(server) - own - low, c.answers > 0
}

// next is how long to wait before the server is asked again: until its clock shows a full second, as far as is known,
// so that the answer halves what is not.
func (c *clock) next(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := now.Sub(c.began)
	low, high := c.bounds(own)
	wait := time.Second - (own+(low+high)/2)%time.Second
	switch {
	case c.answers < oftenAnswers:
		return askOften
	case c.answers < eachSecondAnswers:
		return wait
	}
	return askSeldom + wait
}

// keepTime asks for the server's time as long as the Broker is in use. No command of the protocol tells it; but what is
// rejected and put into another place has it, in seconds. Where that fails nobody knows the time; see [mover] for what
// that means.
func (b *Broker) keepTime() {
	for {
		s, _, changed := b.inward.now()
		if s != nil && s.alive() {
			b.askTime(s)
		}
		select {
		case <-changed:
		case <-time.After(maxPause):
		case <-b.closing:
			return
		}
	}
}

// askTime asks on one connection, until that or the Broker ends: a message of our own comes, is rejected, and comes again.
func (b *Broker) askTime(s *session) {
	ch, err := s.channel()
	if err != nil {
		return
	}
	defer func() { _ = ch.Close() }() // ended already is fine
	key := "TIME." + rand.Text()
	answers, err := b.layTime(ch, key)
	if err != nil {
		return
	}
	var asked time.Time
	turn := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			turn++
			b.askOnce(key, turn)
			timer.Reset(askAgain)
		case d, open := <-answers:
			now, second := time.Now(), rejectedAt(&d)
			switch {
			case !open:
				return
			case d.MessageId != strconv.Itoa(turn):
				_ = d.Ack(false) // given up
			case second == 0:
				asked = now
				_ = d.Reject(false)
			default:
				_ = d.Ack(false)
				b.clock.observe(asked, now, second)
				timer.Reset(b.clock.next(now))
			}
		case <-b.closing:
			return
		}
	}
}

// layTime makes the queue of who asks for the time, which ends with the connection.
func (b *Broker) layTime(ch *amqp.Channel, key string) (<-chan amqp.Delivery, error) {
	queue := b.names.due() + "." + key
	_, err := ch.QueueDeclare(queue, false, true, true, false, amqp.Table{
		"x-queue-type": "classic", "x-dead-letter-exchange": b.names.due(), "x-dead-letter-routing-key": key,
	})
	if err != nil {
		return nil, err
	}
	if err := ch.QueueBind(queue, key, b.names.due(), false, nil); err != nil {
		return nil, err
	}
	return ch.Consume(queue, "", false, true, false, false, nil)
}

// askOnce publishes what is to be rejected. Where that is not possible now there is no answer.
func (b *Broker) askOnce(key string, turn int) {
	s, err := b.departing()
	if err != nil || !s.idle() || b.denied.check(b.names.due()) != nil {
		return
	}
	_, _ = s.put(b.names.due(), key, false, &message{id: strconv.Itoa(turn)})
}

// rejectedAt is when a message was rejected, in seconds of Unix time by the server's clock; 0 = it was not.
func rejectedAt(d *amqp.Delivery) int64 {
	deaths, _ := d.Headers["x-death"].([]any)
	if len(deaths) == 0 {
		return 0
	}
	death, _ := deaths[0].(amqp.Table)
	at, _ := death["time"].(time.Time)
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}
