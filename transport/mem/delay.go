package mem

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// delay keeps a message until its NotBefore.
func (c *channel) delay(m *message) {
	c.arrived++
	m.sequence = c.arrived // among the delayed ones, so that those of one moment keep their order
	heap.Push(&c.later, m)
	c.arm()
}

// cancel removes what waits for its NotBefore under an id and reports whether there was something.
func (c *channel) cancel(id string) bool {
	before := len(c.later)
	c.later = slices.DeleteFunc(c.later, func(m *message) bool {
		if m.envelope.ID == id {
			c.recent.forget(m.envelope)
			return true
		}
		return false
	})
	heap.Init(&c.later)
	c.arm()
	return len(c.later) < before
}

// arm sets the timer for the next delayed message.
func (c *channel) arm() {
	switch {
	case len(c.later) == 0:
		if c.timer != nil {
			c.timer.Stop()
		}
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(c.later[0].envelope.NotBefore), c.fire)
	default:
		c.timer.Reset(time.Until(c.later[0].envelope.NotBefore))
	}
}

// fire gives the messages that are due their place in the channel.
func (c *channel) fire() {
	c.fabric.mu.Lock()
	defer c.fabric.mu.Unlock()
	now := time.Now()
	for len(c.later) > 0 && !c.later[0].envelope.NotBefore.After(now) {
		c.store(heap.Pop(&c.later).(*message), now)
	}
	c.arm()
}

// delayed is a heap, the message that is due first at its root.
type delayed []*message //nolint:recvcheck // as container/heap has it

func (d delayed) Len() int      { return len(d) }
func (d delayed) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d delayed) Less(i, j int) bool {
	if c := d[i].envelope.NotBefore.Compare(d[j].envelope.NotBefore); c != 0 {
		return c < 0
	}
	return cmp.Less(d[i].sequence, d[j].sequence)
}
func (d *delayed) Push(m any) { *d = append(*d, m.(*message)) }
func (d *delayed) Pop() any {
	last := len(*d) - 1
	m := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return m
}
