package kafka

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// answer is a round trip that took so long.
func answer(l *lease, key int16, took time.Duration, err error) {
	time.Sleep(took)
	l.OnBrokerE2E(kgo.BrokerMetadata{}, key, kgo.BrokerE2E{TimeToWrite: took, ReadErr: err})
}

func TestALeaseHoldsFromTheLastConfirmedHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lease
		if l.holds() {
			t.Error("the zero lease holds; want it not to")
		}
		answer(&l, syncKey, 10*time.Millisecond, nil)
		if l.holds() {
			t.Error("a lease holds before the membership has begun; want it not to")
		}
		l.begin()
		for range 60 { // heartbeats, each of which takes a while
			answer(&l, heartbeatKey, time.Second, nil)
			time.Sleep(heartbeat)
			if !l.holds() {
				t.Fatal("a lease does not hold while heartbeats are answered; want it to")
			}
		}
		answer(&l, heartbeatKey, time.Second, errors.New("connection reset"))
		answer(&l, 1, time.Second, nil) // a fetch proves no membership
		time.Sleep(Lease)
		if l.holds() {
			t.Error("a lease holds without answers; want it to end")
		}
	})
}

func TestTheFirstAnswerAfterAFreezeConfirmsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lease
		answer(&l, syncKey, 0, nil)
		l.begin()
		answer(&l, heartbeatKey, time.Second, nil)
		answer(&l, heartbeatKey, time.Second, nil)
		time.Sleep(20 * time.Second) // frozen; expelled meanwhile
		answer(&l, heartbeatKey, time.Millisecond, nil)
		if l.holds() {
			t.Error("a lease holds after the first heartbeat that follows a freeze; want it to wait until its answer was a good one")
		}
		l.end()
		answer(&l, syncKey, time.Millisecond, nil)
		l.begin()
		if !l.holds() {
			t.Error("a lease does not hold after joining again; want it to")
		}
	})
}
