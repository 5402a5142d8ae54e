package rabbitmq

import (
	"context"
	"strconv"
	"sync"
)

// confirmation is what the server says about a message that was published. What is below done may be read once that is
// closed.
type confirmation struct {
	done     chan struct{} // closed once the server has said something, or its channel has ended
	acked    bool          // the server has taken the message
	returned bool          // it came back, as no queue takes it; the server confirms it all the same
}

// stored reports, once it is done, whether a queue has the message.
func (c *confirmation) stored() bool { return c.acked && !c.returned }

// wait waits until it is known whether the message is stored, and no longer than ctx.
func (c *confirmation) wait(ctx context.Context) (stored bool, err error) {
	select {
	case <-c.done:
		return c.stored(), nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// confirms are the messages of a channel that the server has not confirmed yet. It counts them, and so does this. The
// zero confirms is ready.
type confirms struct {
	mu      sync.Mutex
	before  uint64          // tags up to here are confirmed
	waiting []*confirmation // for the tags that follow; nil = it is confirmed
	ended   bool
}

// expect counts a message; nil = the channel has ended, and it must not be published. The number, which the message gets
// as the property correlation-id, tells which one comes back, also where one message is published twice.
func (c *confirms) expect() (of *confirmation, number string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, ""
	}
	of = &confirmation{done: make(chan struct{})}
	c.waiting = append(c.waiting, of)
	return of, strconv.FormatUint(c.before+uint64(len(c.waiting)), 36)
}

// settle notes what the server says about a tag, or about all up to it.
func (c *confirms) settle(tag uint64, multiple, acked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := tag
	if multiple {
		from = c.before + 1
	}
	for n := from; n <= tag; n++ {
		if of := c.at(n); *of != nil {
			(*of).acked = acked
			close((*of).done)
			*of = nil
		}
	}
	n := 0
	for n < len(c.waiting) && c.waiting[n] == nil {
		n++
	}
	c.waiting, c.before = c.waiting[n:], c.before+uint64(n)
}

// giveBack notes that the message of a number came back.
func (c *confirms) giveBack(number string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tag, _ := strconv.ParseUint(number, 36, 64) // else it is no message of ours
	if of := c.at(tag); *of != nil {
		(*of).returned = true
	}
}

// end ends all waiting: the channel is gone.
func (c *confirms) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, of := range c.waiting {
		if of != nil {
			close(of.done)
		}
	}
	c.waiting = nil
}

// at is where the confirmation of a tag is, if it waits.
func (c *confirms) at(tag uint64) **confirmation {
	if tag <= c.before || tag-c.before > uint64(len(c.waiting)) {
		return new(*confirmation)
	}
	return &c.waiting[tag-c.before-1]
}
