package delivery

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Pause starts no more handlers and fetches no more messages until Resume; handlers that run go on. What has been
// fetched waits here, and still goes back to the broker when Run's context ends. A second Pause only changes the reason.
func (c *Consumer) Pause(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused, c.because = true, reason
	c.flow()
}

// Resume ends a pause, also one of the kill switch. Without one it does nothing.
func (c *Consumer) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused, c.because = false, ""
	c.kill.reset()
	c.flow()
}

// SetConcurrency changes how many handlers run at once, 1 to [MaxConcurrency], and with it how many messages are in
// flight. Handlers that run go on, so that it takes their time until there are fewer.
func (c *Consumer) SetConcurrency(n int) error {
	if n < 1 || n > MaxConcurrency {
		return c.failure(fmt.Errorf("concurrency %d: want 1 to %d", n, MaxConcurrency))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.concurrency = n
	c.flow()
	select {
	case c.resized <- struct{}{}:
	default:
	}
	return nil
}

// Concurrency is how many handlers run at once, at the most.
func (c *Consumer) Concurrency() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.concurrency
}

// flow makes broker and queue do what is wanted now, and tells of a change. c.mu is held.
func (c *Consumer) flow() {
	now := c.state()
	credit, permits := c.pace.now(creditFor(c.concurrency)), 0
	if now.paused {
		credit = 0
	}
	if c.kill.probing && !c.paused {
		credit, permits = 1, 1 // one is fetched if there is none here
	}
	c.credit.Set(credit)
	c.queue.steer(now.paused, permits, c.concurrency)
	if now != c.told {
		c.told = now
		if c.subscription.Changed != nil {
			c.subscription.Changed()
		}
	}
}

// flowState is what somebody else may want to know of the flow.
type flowState struct {
	paused      bool
	because     string
	concurrency int
}

// state is the present one; a pause counts before the kill switch. c.mu is held.
func (c *Consumer) state() flowState {
	s := flowState{c.paused || c.kill.why != "", c.because, c.concurrency}
	if !c.paused {
		s.because = c.kill.why
	}
	return s
}

// staff keeps as many workers as there may be handlers at once, until the drain begins.
func (c *Consumer) staff(ctx context.Context) {
	for n := 0; ; {
		for ; n < c.Concurrency(); n++ {
			slot := c.newSlot()
			c.owners.Go(func() { c.worker(ctx, slot, nil) })
		}
		select {
		case <-c.resized:
		case <-c.draining:
			return
		}
	}
}

// newSlot is where a worker says what it handles.
func (c *Consumer) newSlot() *atomic.Pointer[task] {
	slot := new(atomic.Pointer[task])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = append(c.running, slot)
	return slot
}
