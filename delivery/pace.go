package delivery

import (
	"sync/atomic"
	"time"
)

const (
	// paceEvery is how many messages are done between two looks at the pace.
	paceEvery = 64
	// ahead is for how long what is in flight should keep the handlers busy. A broker is asked for many at once, and told
	// of many at once, where it takes less than that.
	ahead = 20 * time.Millisecond
	// maxAhead is the most messages that may be in flight for that. What one instance has, no other gets.
	maxAhead = 1024
)

// pace is how fast messages are done. Handlers that are done at once empty their credit before the broker has sent more; slow
// ones should have little, as others could handle it meanwhile. So the credit is doubled, or halved, until it lasts about as
// long as [ahead].
type pace struct {
	done atomic.Int64

	// Guarded by Consumer.mu:
	looked time.Time
	before int64 // done by then
	credit int   // 0 = the least that the concurrency needs
}

// keepPace notes a message that is done.
func (c *Consumer) keepPace() {
	done := c.pace.done.Add(1)
	if done%paceEvery != 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pace.look(done, time.Now(), creditFor(c.concurrency)) {
		c.flow()
	}
}

// look brings the credit one step closer to what fits, and reports whether it has changed. The handlers need least. A look
// is at [ahead] or more: outcomes are confirmed many at once.
func (p *pace) look(done int64, now time.Time, least int) bool {
	took := now.Sub(p.looked)
	if took < ahead {
		return false
	}
	fits := int(float64(done-p.before) * float64(ahead) / float64(took))
	p.looked, p.before = now, done
	was := p.now(least)
	switch {
	case fits >= 2*was:
		p.credit = min(2*was, maxAhead)
	case fits <= was/2:
		p.credit = was / 2
	}
	return p.now(least) != was
}

// now is the present credit, where the handlers need least.
func (p *pace) now(least int) int { return max(p.credit, least) }
