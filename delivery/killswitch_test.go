package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/ledger"
	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
)

func TestTheKillSwitchPausesInsteadOfFillingTheDeadLettersAndGoesOnByItself(t *testing.T) {
	for _, channel := range []transport.Channel{queue, keyed} {
		t.Run(channel.Address, func(t *testing.T) {
			bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
				b := fabric.Process("first").Broker()
				var isDown atomic.Bool
				var changes, tries atomic.Int32
				isDown.Store(true)
				c := start(t, b, rec, delivery.Subscription{Channel: channel, Concurrency: 4, Changed: func() { changes.Add(1) }, Handle: func(context.Context, *transport.Envelope) error {
					tries.Add(1)
					if isDown.Load() {
						return fmt.Errorf("charging: %w", delivery.DependencyDown(errors.New("the card network is gone")))
					}
					return nil
				}})
				const n = 500
				for i := range n {
					send(t, b, withKey(to(channel, fmt.Sprint("m", i)), fmt.Sprint("k", i%50)))
				}
				time.Sleep(3 * time.Second)
				s := c.Status()
				if !s.Paused || !strings.Contains(s.Because, "the card network is gone") || s.Probe.IsZero() || changes.Load() != 1 {
					t.Fatalf("with the dependency down: %+v after %d changes; want it paused, told once, why, and when it tries again", s, changes.Load())
				}
				before := tries.Load()
				time.Sleep(time.Hour)
				if s = c.Status(); s.Dead != 0 || !s.Paused {
					t.Errorf("an hour later: %+v; want it paused, and no dead letter", s)
				}
				if probes := tries.Load() - before; probes < 40 || probes > 90 {
					t.Errorf("%d messages were tried in an hour; want about one a minute", probes)
				}
				isDown.Store(false)
				time.Sleep(2 * time.Hour) // delayed copies come back, too
				if s = c.Status(); s.Handled != n || s.Dead != 0 || s.Paused || s.InFlight != 0 || changes.Load() != 2 {
					t.Errorf("with the dependency back: %+v after %d changes; want all %d handled, and two changes", s, changes.Load(), n)
				}
				wantTripped(t, rec)
			})
		})
	}
}

// wantTripped wants the trail of a message to say that it waits for a dependency, and to end well.
func wantTripped(t *testing.T, rec *notes) {
	t.Helper()
	all := rec.transitions()
	i := slices.IndexFunc(all, func(x ledger.Transition) bool {
		return x.Kind == ledger.Delayed && strings.HasPrefix(x.Reason, "paused: a dependency is down: ")
	})
	if i < 0 {
		t.Fatal("no trail says that the subscription was paused; want that of the message that tripped the switch")
	}
	if all[i].Until.Before(all[i].At) {
		t.Errorf("%+v; want when it is tried again", all[i])
	}
	trail := rec.of(all[i].ID, "")
	if last := trail[len(trail)-1]; !strings.HasPrefix(last, "done") {
		t.Errorf("trail of %s = %q; want it done at last", all[i].ID, trail)
	}
}

func TestTheKillSwitchTripsForDependenciesOnlyAndWhenMostFail(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	unavailable := &transport.Error{Code: transport.Unavailable}
	for _, c := range []struct {
		what     string
		err      error
		each     int           // one of so many messages fails
		pause    time.Duration // between messages
		messages int
		off      bool
		trips    bool
	}{
		{"a refused connection", fmt.Errorf("query: %w", refused), 1, time.Millisecond, 40, false, true},
		{"a callee that is unavailable", fmt.Errorf("asking: %w", unavailable), 1, time.Millisecond, 40, false, true},
		{"two in three fail", unavailable, 1, 100 * time.Millisecond, 60, false, true},
		{"one in four fails", unavailable, 4, 100 * time.Millisecond, 400, false, false},
		{"few messages, all failing", unavailable, 1, 4 * time.Second, 12, false, true},
		{"a few failures in a moment", unavailable, 1, time.Millisecond, 15, false, false},
		{"a defect", errOut, 1, time.Millisecond, 400, false, false},
		{"a message that is wrong", delivery.Permanent(unavailable), 1, time.Millisecond, 400, false, false},
		{"no kill switch", unavailable, 1, time.Millisecond, 400, true, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
				b := fabric.Process("first").Broker()
				n := 0
				consumer := start(t, b, rec, delivery.Subscription{Channel: queue, Concurrency: 1, Retries: never, NoKillSwitch: c.off, Handle: func(context.Context, *transport.Envelope) error {
					if n++; n%c.each == 0 {
						return c.err
					}
					return nil
				}})
				for i := range c.messages {
					send(t, b, to(queue, fmt.Sprint("m", i)))
					time.Sleep(c.pause)
				}
				if s := consumer.Status(); s.Paused != c.trips {
					t.Errorf("paused %v because %q after %d handled and %d failed; want %v", s.Paused, s.Because, s.Handled, s.Failed, c.trips)
				}
			})
		})
	}
}

func TestResumeEndsThePauseOfTheKillSwitchAndAPauseGoesBeforeIt(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		var isDown atomic.Bool
		isDown.Store(true)
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Handle: func(context.Context, *transport.Envelope) error {
			if isDown.Load() {
				return delivery.DependencyDown(errOut)
			}
			return nil
		}})
		for i := range 30 {
			send(t, b, to(queue, fmt.Sprint("m", i)))
		}
		time.Sleep(time.Second)
		c.Pause("maintenance")
		isDown.Store(false)
		if s := c.Status(); s.Because != "maintenance" || !s.Probe.IsZero() {
			t.Errorf("paused by hand: %+v; want that reason, and no probe", s)
		}
		time.Sleep(time.Hour)
		if s := c.Status(); s.Handled != 0 || !s.Paused {
			t.Errorf("an hour later: %+v; want nothing handled", s)
		}
		c.Resume()
		time.Sleep(time.Hour)
		if s := c.Status(); s.Handled != 30 || s.Paused {
			t.Errorf("resumed: %+v; want all 30 handled", s)
		}
	})
}

func TestAProbeThatHasExpiredIsFollowedByAnother(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		var isDown atomic.Bool
		isDown.Store(true)
		c := start(t, b, rec, delivery.Subscription{Channel: keyed, Handle: func(context.Context, *transport.Envelope) error {
			if isDown.Load() {
				return delivery.DependencyDown(errOut)
			}
			return nil
		}})
		for i := range 30 {
			e := withKey(to(keyed, fmt.Sprint("m", i)), fmt.Sprint("k", i))
			e.Lifetime = 4 * time.Second
			send(t, b, e)
		}
		time.Sleep(time.Second)
		if !c.Status().Paused {
			t.Fatal("not paused; want it paused")
		}
		isDown.Store(false)
		time.Sleep(10 * time.Second) // the lifetimes are over, and the probe is, too
		send(t, b, withKey(to(keyed, "fresh"), "fresh"))
		time.Sleep(time.Minute)
		if s := c.Status(); s.Paused || s.Handled != 1 || s.Expired != 30 || s.InFlight != 0 {
			t.Errorf("after the probe: %+v; want it to go on with the fresh one, the others expired", s)
		}
	})
}

func TestConcurrencyIsRaisedAndLoweredWhileItRuns(t *testing.T) {
	bubble(t, func(t *testing.T, fabric *mem.Fabric, rec *notes) {
		b := fabric.Process("first").Broker()
		var mu sync.Mutex
		running, most := 0, 0
		peak := func() int {
			mu.Lock()
			most = running
			mu.Unlock()
			time.Sleep(10 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			return most
		}
		c := start(t, b, rec, delivery.Subscription{Channel: queue, Concurrency: 2, Handle: func(context.Context, *transport.Envelope) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}})
		for i := range 2000 {
			send(t, b, to(queue, fmt.Sprint("m", i)))
		}
		for _, n := range []int{2, 30, 1, 16} {
			if err := c.SetConcurrency(n); err != nil {
				t.Fatalf("SetConcurrency(%d) = %v", n, err)
			}
			time.Sleep(2 * time.Second) // those that ran have ended
			if got := peak(); got != n {
				t.Errorf("SetConcurrency(%d): %d handlers at once; want %d", n, got, n)
			}
			if s := c.Status(); s.Concurrency != n || s.InFlight > int64(max(64, 8*n)) && n >= 16 {
				t.Errorf("SetConcurrency(%d): %+v; want that, and in flight no more than 8 times as many", n, s)
			}
		}
		for _, n := range []int{0, -1, delivery.MaxConcurrency + 1} {
			if err := c.SetConcurrency(n); err == nil {
				t.Errorf("SetConcurrency(%d) = nil; want an error", n)
			}
		}
		synctest.Wait()
	})
}
