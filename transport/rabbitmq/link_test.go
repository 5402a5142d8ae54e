package rabbitmq

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAConnectionIsTriedAtOnceWhenTheOtherIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		twin := newLink(nil, "receives", false)
		l := newLink(nil, "publishes", true)
		l.twin = twin
		rest := func() time.Duration {
			began := time.Now()
			l.rest(ctx, maxPause)
			return time.Since(began)
		}
		time.AfterFunc(time.Second, func() { twin.set(nil, nil) }) // it has failed once more
		if got := rest(); got != maxPause {
			t.Errorf("while the other fails, too, the pause = %v; want %v", got, maxPause)
		}
		time.AfterFunc(time.Second, func() { twin.set(&session{}, nil) })
		if got := rest(); got != time.Second {
			t.Errorf("when the other is back after 1s, the pause = %v; want no more than that", got)
		}
		if got := rest(); got != maxPause {
			t.Errorf("while the other was there all the time, the pause = %v; want %v", got, maxPause)
		}
		time.AfterFunc(time.Second, cancel)
		if got := rest(); got != time.Second {
			t.Errorf("when all ends after 1s, the pause = %v; want no more than that", got)
		}
	})
}
