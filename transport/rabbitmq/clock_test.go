package rabbitmq

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheServersTimeIsKnownWithinBoundsThatNarrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		ahead := time.Duration(rapid.Int64Range(int64(24*time.Hour), int64(100*365*24*time.Hour)).Draw(t, "ahead"))
		skew := rapid.IntRange(-100, 100).Draw(t, "parts per million")
		server := func(at time.Time) time.Duration {
			own := at.Sub(c.began)
			return ahead + own + own*time.Duration(skew)/1_000_000
		}
		now := c.began
		for range 60 {
			now = now.Add(c.next(now))
			asked := now
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Millisecond)).Draw(t, "there")))
			second := int64(server(now) / time.Second)
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Millisecond)).Draw(t, "back")))
			c.observe(asked, now, second)
			if got := c.latest(now); got < int64(server(now)) {
				t.Fatalf("latest = %v before the server's time; want it, or later", time.Duration(int64(server(now))-got))
			}
			due := server(now) + time.Minute
			if wait, known := c.until(int64(due), now); !known || server(now.Add(wait)) < due-10*time.Millisecond {
				t.Fatalf("until = %v, %v, which ends %v early; want it not to", wait, known, due-server(now.Add(wait)))
			}
		}
		if off := time.Duration(c.latest(now)) - server(now); off > 50*time.Millisecond {
			t.Errorf("after 60 answers latest is %v late; want at most 50ms", off)
		}
		ahead += time.Hour // its clock is set
		c.observe(now, now, int64(server(now)/time.Second))
		if off := (time.Duration(c.latest(now)) - server(now)).Abs(); off > time.Second {
			t.Errorf("after the server's clock was set latest is off by %v; want at most a second", off)
		}
	})
}

func TestWithoutAnAnswerTheServersTimeIsNotKnown(t *testing.T) {
	t.Parallel()
	c := newClock()
	if got := c.latest(time.Now()); got != 0 {
		t.Errorf("latest = %d; want 0", got)
	}
	if wait, known := c.until(1, time.Now()); known {
		t.Errorf("until = %v, true; want it unknown", wait)
	}
	if got := c.next(time.Now()); got != askOften {
		t.Errorf("next = %v; want %v", got, askOften)
	}
}
