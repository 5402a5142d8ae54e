package nats

import (
	"testing"
	"time"
)

func TestQuotasAreFairAndLeaveNothing(t *testing.T) {
	t.Parallel()
	for partitions := 1; partitions <= 40; partitions++ {
		for members := 1; members <= 50; members++ {
			sum, least, most := 0, partitions, 0
			for i := range members {
				q := quota(partitions, members, i)
				sum, least, most = sum+q, min(least, q), max(most, q)
			}
			if sum != partitions || most-least > 1 {
				t.Errorf("%d members share %d of %d partitions, each %d to %d; want all, as even as can be", members, sum, partitions, least, most)
			}
		}
	}
}

func TestALeaseEndsBeforeOthersDoubtIt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := &lease{born: now}
	if l.valid() {
		t.Error("valid = true before anything was confirmed; want false")
	}
	for age, want := range map[time.Duration]bool{0: true, LeaseTTL - leaseMargin - time.Second: true, LeaseTTL - leaseMargin: false, LeaseTTL: false} {
		l.confirm(now.Add(-age), 1)
		if got := l.valid(); got != want {
			t.Errorf("valid = %v %v after the renewal was sent; want %v", got, age, want)
		}
	}
	if suspended := now.Add(-LeaseTTL).Round(0); elapsed(suspended) < LeaseTTL {
		t.Errorf("elapsed = %v when the wall clock alone has gone on by %v; want that", elapsed(suspended), LeaseTTL)
	}
	l.confirm(now, 2)
	l.end()
	if l.valid() {
		t.Error("valid = true after the end; want false for good")
	}
}

func TestThePauseBetweenTriesToReconnectGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	for n := 1; n < 100; n++ {
		if d := pause(n); d < firstPause/2 || d > lastPause {
			t.Errorf("pause(%d) = %v; want %v to %v", n, d, firstPause/2, lastPause)
		}
	}
	if d := pause(50); d < lastPause/2 {
		t.Errorf("pause(50) = %v; want at least %v", d, lastPause/2)
	}
}
