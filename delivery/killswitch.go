package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
)

// When the kill switch of a subscription trips, and how it tries again: the figures of the circuit breaker of calls.
const (
	switchWindow = 10 * time.Second // from the first of some attempts that fail because a dependency is down
	switchLeast  = 20               // attempts in the window, at least, of which half fail so
	switchRun    = 10               // or so many in a row, over a window at least, however few there are
	firstProbe   = 5 * time.Second  // until one message is tried again; doubles, with a fifth of jitter
	lastProbe    = time.Minute
)

// DependencyDown marks a handler's error: something that every message of the subscription needs is down, so that trying
// others is useless too. Where that goes on, the subscription pauses; see [Subscription.NoKillSwitch].
// DependencyDown(nil) is nil.
func DependencyDown(err error) error {
	if err == nil {
		return nil
	}
	return &dependencyDown{err}
}

// IsDependencyDown reports whether err says so: it was made by [DependencyDown], or holds a [transport.Error] with the code
// [transport.Unavailable] or a [net.OpError], which a connection makes that cannot be opened or has broken. A
// [Permanent] error is about its message only.
func IsDependencyDown(err error) bool {
	if IsPermanent(err) {
		return false
	}
	if _, ok := errors.AsType[*dependencyDown](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	return transport.CodeOf(err) == transport.Unavailable
}

type dependencyDown struct{ error }

func (d *dependencyDown) Unwrap() error { return d.error }

// killSwitch decides when a subscription pauses because a dependency is down. The consumer's lock guards it.
type killSwitch struct {
	began  time.Time // of the window
	other  int64     // attempts with any other end until then
	downs  int       // in the window
	run    int       // attempts in a row that ended so
	since  time.Time // of the first in the row
	before int64     // attempts with any other end before the row

	why     string        // it has tripped; "" = it has not
	probe   time.Time     // when one message is tried again
	wait    time.Duration // before that
	timer   *time.Timer   // until then
	probing bool          // it is then, and the outcome is not known
}

// note counts an attempt that failed because a dependency is down, with how many have ended otherwise so far, and answers
// why the switch trips; "" = it does not.
func (k *killSwitch) note(now time.Time, other int64) string {
	if k.downs == 0 || now.Sub(k.began) > switchWindow {
		k.began, k.other, k.downs = now, other, 0
	}
	if k.run == 0 || k.before != other {
		k.since, k.before, k.run = now, other, 0
	}
	k.downs++
	k.run++
	all := k.downs + int(other-k.other)
	switch {
	case all >= switchLeast && 2*k.downs >= all:
		return fmt.Sprintf("%d of %d attempts in %v", k.downs, all, now.Sub(k.began).Round(time.Second/10))
	case k.run >= switchRun && now.Sub(k.since) >= switchWindow:
		return fmt.Sprintf("%d attempts in a row over %v", k.run, now.Sub(k.since).Round(time.Second))
	}
	return ""
}

// next is when to try the next time, later each time.
func (k *killSwitch) next(now time.Time) time.Duration {
	if k.wait == 0 {
		k.wait = firstProbe
	} else {
		k.wait = min(2*k.wait, lastProbe)
	}
	wait := k.wait*4/5 + rand.N(k.wait*2/5)
	k.probe = now.Add(wait)
	return wait
}

// reset ends what is known of the past.
func (k *killSwitch) reset() {
	k.stop()
	*k = killSwitch{}
}

// stop makes no probe come.
func (k *killSwitch) stop() {
	if k.timer != nil {
		k.timer.Stop()
	}
}

// verdict is what an attempt tells about the dependencies of its handler.
type verdict uint8

const (
	silent verdict = iota // there was none
	up
	down
)

// judge is the verdict of a failure. One that says that a dependency is down can trip the kill switch.
func (c *Consumer) judge(err error) verdict {
	if c.subscription.NoKillSwitch || !IsDependencyDown(err) {
		c.counts.otherwise.Add(1)
		return up
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kill.why == "" {
		if counts := c.kill.note(time.Now(), c.counts.handled.Load()+c.counts.otherwise.Load()); counts != "" {
			c.kill.why = fmt.Sprintf("a dependency is down: %s failed, the last with: %s", counts, reason(err))
			c.rearm()
			c.flow()
		}
	}
	return down
}

// probed takes the verdict of the message that was tried while the switch had tripped.
func (c *Consumer) probed(v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.kill.why == "":
		return
	case v == up:
		c.kill.reset()
	case v == down:
		c.rearm()
	}
	c.flow() // another one is tried where this one told nothing
}

// rearm sets the time of the next probe. c.mu is held.
func (c *Consumer) rearm() {
	wait := c.kill.next(time.Now())
	c.kill.probing = false
	if closed(c.draining) {
		return
	}
	c.kill.timer = time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.kill.why != "" && !c.paused { // Resume ends both
			c.kill.probing = true
			c.flow()
		}
	})
}

// held keeps t here, without counting its attempt, if the kill switch has tripped; it reports whether t was given away.
func (c *Consumer) held(t *task) bool {
	c.mu.Lock()
	why, probe := c.kill.why, c.kill.probe
	c.mu.Unlock()
	if why == "" {
		return false
	}
	c.record(ledger.Delayed, t, ledger.Transition{Until: probe, Reason: "paused: " + why}, nil)
	if !t.ours() || !c.queue.later(t, 0) {
		c.giveBack(t)
	}
	return true
}
