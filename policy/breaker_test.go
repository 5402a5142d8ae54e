package policy

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parley-io/parley/transport"
)

// TestABreakerProbesOneAtATimeAndIsNeverStuck drives a breaker with random calls of random outcome and length.
func TestABreakerProbesOneAtATimeAndIsNeverStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := BreakerOptions{}.withDefaults()
		now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		b := newBreaker(&o, now)
		type running struct {
			permit permit
			probe  bool
			began  time.Time
		}
		var calls []running
		end := func(i int, v verdict) {
			b.leave(calls[i].permit, now, v)
			calls = append(calls[:i], calls[i+1:]...)
		}
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "d")))
			},
			"begin": func(t *rapid.T) {
				before := b.status(now)
				p, ok := b.enter(now)
				if before.State == Open && ok {
					t.Fatalf("an open breaker let a call pass, %v before its time", before.Until.Sub(now))
				}
				if before.State == Closed && !ok {
					t.Fatal("a closed breaker refused a call")
				}
				if ok {
					calls = append(calls, running{p, b.status(now).State == HalfOpen, now})
				}
			},
			"end": func(t *rapid.T) {
				if len(calls) == 0 {
					t.Skip("nothing runs")
				}
				i := rapid.IntRange(0, len(calls)-1).Draw(t, "i")
				end(i, rapid.SampledFrom([]verdict{noVerdict, working, failing, unreachable}).Draw(t, "verdict"))
			},
			"": func(t *rapid.T) {
				probes := 0
				for _, c := range calls {
					if c.probe && c.permit.generation == b.generation {
						probes++
					}
				}
				if probes > 1 {
					t.Fatalf("%d probes run at once; want at most 1", probes)
				}
				before := b
				b.status(now)
				b.status(now.Add(time.Hour))
				if b != before {
					t.Fatal("reading the status changed the breaker")
				}
				if left := b.until.Sub(b.since); b.state == Open && (left < 4*time.Second || left > 72*time.Second) {
					t.Fatalf("open for %v; want 5s to 60s, ±20%%", left)
				}
			},
		})
		// However it stands, and though the calls of before hang for ever: good probes close it within the longest times.
		for range 2 {
			if p, ok := b.enter(now); ok {
				b.leave(p, now, working)
			}
			now = now.Add(o.MaxOpen*6/5 + o.Probe)
		}
		for range o.Successes {
			p, ok := b.enter(now)
			if !ok {
				t.Fatalf("stuck: %+v refuses", b.status(now))
			}
			b.leave(p, now, working)
		}
		if s := b.status(now).State; s != Closed {
			t.Fatalf("after %d good calls it is %s; want closed", o.Successes, s)
		}
	})
}

func TestABreakerOpensByShareAndByConnects(t *testing.T) {
	for _, c := range []struct {
		name     string
		verdicts string // w working, f failing, u unreachable, - none
		open     bool
	}{
		{"19 failures are too few", strings.Repeat("f", 19), false},
		{"20 failures", strings.Repeat("f", 20), true},
		{"half of 20", strings.Repeat("wf", 10), true},
		{"less than half", strings.Repeat("wwf", 30), false},
		{"4 connects", "uuuu", false},
		{"5 connects", "uuuuu", true},
		{"connects not in a row", "uuuuwuuuu", false},
		{"what says nothing", strings.Repeat("-", 100), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := BreakerOptions{}.withDefaults()
			now := time.Now()
			b := newBreaker(&o, now)
			for _, r := range c.verdicts {
				p, ok := b.enter(now)
				if !ok {
					t.Fatalf("refused before the end: %+v", b.status(now))
				}
				b.leave(p, now, map[rune]verdict{'w': working, 'f': failing, 'u': unreachable, '-': noVerdict}[r])
			}
			if got := b.status(now).State == Open; got != c.open {
				t.Errorf("after %s open is %v; want %v", c.verdicts, got, c.open)
			}
		})
	}
}

func TestTheWindowForgets(t *testing.T) {
	o := BreakerOptions{}.withDefaults()
	now := time.Now()
	b := newBreaker(&o, now)
	for range 19 {
		p, _ := b.enter(now)
		b.leave(p, now, failing)
	}
	if s := b.status(now); s.Requests != 19 || s.Failures != 19 {
		t.Errorf("%d of %d failed; want 19 of 19", s.Failures, s.Requests)
	}
	now = now.Add(o.Window)
	if s := b.status(now); s.Requests != 0 {
		t.Errorf("%d requests after the window; want 0", s.Requests)
	}
	p, _ := b.enter(now)
	b.leave(p, now, failing)
	if s := b.status(now); s.State != Closed {
		t.Errorf("state %s after failures of two windows; want closed", s.State)
	}
}

func TestABreakerStaysOpenLongerEachTime(t *testing.T) {
	o := BreakerOptions{}.withDefaults()
	now := time.Now()
	b := newBreaker(&o, now)
	for range 5 {
		p, _ := b.enter(now)
		b.leave(p, now, unreachable)
	}
	for _, seconds := range []int{5, 10, 20, 40, 60, 60} {
		want := time.Duration(seconds) * time.Second
		got := b.status(now).Until.Sub(now)
		if got < want*8/10 || got > want*12/10 {
			t.Fatalf("open for %v; want %v ±20%%", got, want)
		}
		now = b.until
		p, ok := b.enter(now)
		if _, second := b.enter(now); !ok || second {
			t.Fatalf("due: a probe is let through %v, a second beside it %v; want true, false", ok, second)
		}
		b.leave(p, now, failing)
	}
	if s := b.status(now); s.Opened != 1 || s.Closed != 0 {
		t.Errorf("opened %d, closed %d; want 1 and 0: it has not been closed since", s.Opened, s.Closed)
	}
}

func TestAHangingProbeIsGivenUp(t *testing.T) {
	o := BreakerOptions{}.withDefaults()
	now := time.Now()
	b := newBreaker(&o, now)
	for range 5 {
		p, _ := b.enter(now)
		b.leave(p, now, unreachable)
	}
	now = b.until
	hanging, _ := b.enter(now)
	now = now.Add(o.Probe)
	if _, ok := b.enter(now); ok || b.state != Open {
		t.Fatalf("30 s after a hanging probe: let through %v, %s; want refused, open again", ok, b.state)
	}
	b.leave(hanging, now, working)
	if b.successes != 0 || b.state != Open {
		t.Error("the late end of a probe that was given up counted")
	}
}

func TestAnAttemptOfBeforeTheBreakerOpenedDoesNotProbe(t *testing.T) {
	o := BreakerOptions{Successes: 1}.withDefaults()
	now := time.Now()
	b := newBreaker(&o, now)
	slow, _ := b.enter(now)
	for range 5 {
		p, _ := b.enter(now)
		b.leave(p, now, unreachable)
	}
	now = b.until
	probe, _ := b.enter(now)
	b.leave(slow, now, working)
	if _, ok := b.enter(now); ok || b.state != HalfOpen {
		t.Fatalf("an old attempt ended well: %s, another probe let through %v; want half-open, one probe", b.state, ok)
	}
	b.leave(probe, now, working)
	if b.state != Closed {
		t.Errorf("the probe ended well: %s; want closed", b.state)
	}
}

func TestADeadInstanceOpensItsBreakerAndClosesItWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alive := false
		s := scripted(func(context.Context, string, int) error {
			if alive {
				return nil
			}
			return refusedConnection()
		})
		var told []BreakerState
		client := New(s, nil, Options{Retries: -1, OnBreaker: func(b BreakerStatus) { told = append(told, b.State) }})
		for range 5 {
			_, _ = client.Do(t.Context(), quote("a"))
		}
		_, err := client.Do(t.Context(), quote("a"))
		e := mustFail(t, err)
		if e.Code != transport.Unavailable || !e.NotSent || !e.NoRetry || e.RetryAfter < 4*time.Second ||
			!strings.Contains(e.Message, "breaker of prices at a is open: it tries again in") {
			t.Errorf("Do = %+v; want Unavailable, NotSent, naming the breaker and when it tries again", e)
		}
		if n := len(s.requests()); n != 5 {
			t.Errorf("%d requests; want 5, the sixth refused by the breaker", n)
		}
		alive = true
		time.Sleep(6 * time.Second)
		if b := client.Breakers(); len(b) != 1 || b[0].State != HalfOpen || b[0].Opened != 1 {
			t.Errorf("Breakers() = %+v; want one, half-open", b)
		}
		for range 3 {
			if _, err := client.Do(t.Context(), quote("a")); err != nil {
				t.Fatalf("probe = %v; want success", err)
			}
		}
		if b := client.Breakers()[0]; b.State != Closed || b.Closed != 1 || b.Service != "prices" || b.Peer != "a" {
			t.Errorf("Breakers() = %+v; want prices at a, closed once", b)
		}
		if want := []BreakerState{Open, HalfOpen, Closed}; len(told) != 3 || told[0] != want[0] || told[1] != want[1] || told[2] != want[2] {
			t.Errorf("OnBreaker was told %v; want %v", told, want)
		}
	})
}

// TestAPermitIsNeverLost ends half-open probes by a panic and by Goexit: the next call must get the permit.
func TestAPermitIsNeverLost(t *testing.T) {
	for _, end := range map[string]func(){"panic": func() { panic("driver defect") }, "Goexit": runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			broken := true
			s := scripted(func(_ context.Context, _ string, n int) error {
				if n <= 5 {
					return refusedConnection()
				}
				if broken {
					end()
				}
				return nil
			})
			notes := &notes{}
			client := New(s, notes, Options{Retries: -1})
			for range 5 {
				_, _ = client.Do(t.Context(), quote("a"))
			}
			time.Sleep(6 * time.Second)
			for range 20 {
				var wg sync.WaitGroup
				wg.Add(1)
				go func() {
					defer wg.Done()
					defer func() { _ = recover() }()
					_, _ = client.Do(t.Context(), quote("a"))
				}()
				wg.Wait()
			}
			if n := len(s.requests()); n != 25 {
				t.Errorf("%d requests; want 25: each probe that ended strangely makes way for the next", n)
			}
			if n := len(notes.all); n != 50 {
				t.Errorf("%d transitions; want 50: the end of every attempt is recorded", n)
			}
			broken = false
			for range 3 {
				if _, err := client.Do(t.Context(), quote("a")); err != nil {
					t.Errorf("Do = %v; want success", err)
				}
			}
			p := client.callee("prices", time.Now()).peer("a", time.Now())
			if p.inFlight != 0 || p.breaker.state != Closed {
				t.Errorf("in flight %d, %s; want 0, closed", p.inFlight, p.breaker.state)
			}
		})
	}
}

func TestWhatAnErrorSaysAboutThePeer(t *testing.T) {
	for _, c := range []struct {
		e    transport.Error
		want verdict
	}{
		{transport.Error{Code: transport.Unavailable}, failing},
		{transport.Error{Code: transport.Unavailable, NotSent: true}, unreachable},
		{transport.Error{Code: transport.Unavailable, NotSent: true, RetryAfter: 1}, noVerdict}, // shed
		{transport.Error{Code: transport.DeadlineExceeded}, failing},
		{transport.Error{Code: transport.DeadlineExceeded, NotSent: true}, noVerdict},
		{transport.Error{Code: transport.Canceled}, noVerdict},
		{transport.Error{Code: transport.Internal}, working},
		{transport.Error{Code: transport.NotFound}, working},
		{transport.Error{Code: transport.ResourceExhausted}, working},
	} {
		if got := verdictOf(&c.e); got != c.want {
			t.Errorf("verdict of %+v is %d; want %d", c.e, got, c.want)
		}
	}
}
