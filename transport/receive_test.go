package transport_test

import (
	"sync"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestCreditTellsOfEveryChange(t *testing.T) {
	t.Parallel()
	var c transport.Credit
	n, changed := c.Now()
	if n != 0 {
		t.Errorf("zero Credit = %d, want 0", n)
	}
	for _, set := range []struct{ to, want int }{{5, 5}, {0, 0}, {-3, 0}} {
		select {
		case <-changed:
			t.Error("changed is closed before Set, want it open")
		default:
		}
		c.Set(set.to)
		select {
		case <-changed:
		default:
			t.Errorf("changed is open after Set(%d), want it closed", set.to)
		}
		if n, changed = c.Now(); n != set.want {
			t.Errorf("credit = %d after Set(%d), want %d", n, set.to, set.want)
		}
	}
	if n, _ := transport.NewCredit(256).Now(); n != 256 {
		t.Errorf("NewCredit(256) = %d, want 256", n)
	}
}

func TestCreditIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	c := transport.NewCredit(0)
	var setters sync.WaitGroup
	for range 4 {
		setters.Go(func() {
			for i := range 1000 {
				c.Set(i)
			}
			c.Set(5000)
		})
	}
	for {
		n, changed := c.Now()
		if n == 5000 {
			break
		}
		<-changed // every reader hears of the last Set
	}
	setters.Wait()
	if n, _ := c.Now(); n != 5000 {
		t.Errorf("credit = %d at the end, want 5000", n)
	}
}

func TestThePositionNowIsTheZeroOne(t *testing.T) {
	t.Parallel()
	if !(transport.Position{}).IsZero() {
		t.Error("IsZero of the zero Position = false, want true")
	}
	for _, p := range []transport.Position{{Start: true}, {Time: time.Unix(1, 0)}, {At: "1"}} {
		if p.IsZero() {
			t.Errorf("IsZero of %+v = true, want false", p)
		}
	}
}
