package delivery

import (
	"testing"
	"time"
)

func TestTheCreditFollowsThePace(t *testing.T) {
	t.Parallel()
	const least = 128
	for _, c := range []struct {
		what  string
		every []time.Duration // in which 64 were done, look after look
		want  []int           // the credit after each
	}{
		{"the first look knows no pace", []time.Duration{0}, []int{least}},
		{"at once", repeat(time.Millisecond, 80), []int{19: 256, 39: 512, 59: 1024, 79: 1024}},
		{"a millisecond each, by 16 handlers", repeat(4*time.Millisecond, 50), []int{4: 256, 49: 256}},
		{"no longer at once", append(repeat(time.Millisecond, 60), repeat(time.Second, 4)...), []int{59: 1024, 60: 512, 61: 256, 62: least, 63: least}},
		{"ten milliseconds each, by 16 handlers", repeat(40*time.Millisecond, 50), []int{49: least}},
	} {
		var p pace
		now, done := time.Unix(1e9, 0), int64(paceEvery)
		p.look(done, now, least)
		for n, d := range c.every {
			done += paceEvery
			now = now.Add(d)
			before := p.now(least)
			changed := p.look(done, now, least)
			if got := p.now(least); changed != (got != before) {
				t.Errorf("%s: look %d says changed = %v, from %d to %d", c.what, n, changed, before, got)
			}
			if n < len(c.want) && c.want[n] != 0 && p.now(least) != c.want[n] {
				t.Errorf("%s: credit %d after look %d; want %d", c.what, p.now(least), n, c.want[n])
			}
		}
	}
	p := pace{credit: 1024}
	if got := p.now(8 * MaxConcurrency); got != 8*MaxConcurrency {
		t.Errorf("credit %d; want no less than the handlers need, %d", got, 8*MaxConcurrency)
	}
	if p.look(1<<40, time.Unix(1e9, 0), 8*MaxConcurrency) || p.look(1<<41, time.Unix(1e9+1, 0), 8*MaxConcurrency) {
		t.Error("many handlers were given less than they need, or more than is ever fetched ahead")
	}
}

func repeat(d time.Duration, n int) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = d
	}
	return out
}
