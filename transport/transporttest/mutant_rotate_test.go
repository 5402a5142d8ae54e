package transporttest_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
	"github.com/parley-io/parley/transport/mem"
	"github.com/parley-io/parley/transport/transporttest"
)

// guarded is a target whose broker lets nobody in between a rotation of the password and its becoming known. Each
// connection has the defect.
func guarded(broken defect, refusal error) transporttest.Target[transporttest.Site] {
	target := memory(nil)
	target.Declared = nil
	target.Start = func(context.Context) (transporttest.Site, func(context.Context) error, error) {
		site, _ := guardedSite(broken, refusal)
		return site, nil, nil
	}
	return target
}

func guardedSite(broken defect, refusal error) (site transporttest.Site, locked *atomic.Bool) {
	fabric := mem.New()
	locked = new(atomic.Bool)
	site = transporttest.Memory(fabric, func(b *mem.Broker) transport.Broker {
		m := &mutant{Broker: b}
		broken(m)
		return m
	})
	open := site.Open
	site.Open = func(ctx context.Context) (transport.Broker, error) {
		if locked.Load() && refusal != nil {
			return nil, refusal
		}
		return open(ctx)
	}
	site.Rotate = func(context.Context) (learn func() error, err error) {
		locked.Store(true)
		fabric.Stop()
		return func() error {
			locked.Store(false)
			fabric.Start()
			return nil
		}, nil
	}
	return site, locked
}

var errUnauthenticated = &transport.Error{Code: transport.Unauthenticated, Message: "wrong password"}

func honest(*mutant) {}

func TestAPasswordThatIsNotFollowedBreaksCheck41(t *testing.T) {
	var parked parking
	late := func(m *mutant) {
		m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
			receipts := m.Broker.Send(ctx, batch)
			if receipts[0].Err != nil {
				time.Sleep(time.Minute)
			}
			return receipts
		}
	}
	for name, c := range map[string]struct {
		make    defect
		refusal error // of who opens with the old password
		found   string
	}{
		"a send waits for the new one":           {late, errUnauthenticated, "took"},
		"a send is refused for good":             {erring(transport.ErrRefused), errUnauthenticated, "worth repeating"},
		"what could not be sent is confirmed":    {erring(nil), errUnauthenticated, "nobody could reach the broker"},
		"receivers do not come back":             {expelled(), errUnauthenticated, "is not handled"},
		"the old one is accepted":                {honest, nil, "connecting with the old password = <nil>"},
		"who has the old one is told of a fault": {honest, errors.New("connection reset"), "want unauthenticated"},
	} {
		t.Run(name, func(t *testing.T) {
			wantBroken(t, &parked, transporttest.Brokers(), guarded(c.make, c.refusal), 41, c.found)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := transporttest.Brokers().Results(t.Context(), guarded(honest, errUnauthenticated), transporttest.Options{Only: []int{41}})
		if r[0].Outcome != transporttest.Passed {
			t.Errorf("check 41 of a broker that is followed = %+v; want it passed", r[0])
		}
	})
}

// expelled takes nothing any more once a send has failed.
func expelled() defect {
	var gone atomic.Bool
	return func(m *mutant) {
		m.send = func(ctx context.Context, batch []*transport.Envelope) []transport.Receipt {
			receipts := m.Broker.Send(ctx, batch)
			if receipts[0].Err != nil {
				gone.Store(true)
			}
			return receipts
		}
		taking(func(d *transport.Delivery, take func(*transport.Delivery)) {
			if !gone.Load() {
				take(d)
			}
		})(m)
	}
}

func TestADriverThatTriesAWrongPasswordWithoutPausesBreaksCheck41(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pause time.Duration
		found string // "" = nothing
	}{
		"without": {time.Millisecond, "tries to connect with the old password"},
		"with":    {time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := memory(nil)
			target.Declared = nil
			target.Start = func(context.Context) (transporttest.Site, func(context.Context) error, error) {
				site, locked := guardedSite(honest, errUnauthenticated)
				site.Through = func(ctx context.Context, via func(string) string) (transport.Broker, error) {
					b, err := site.Open(ctx)
					address := via("127.0.0.1:1") // where nobody listens
					return trying(b.(*mutant), address, c.pause, locked), err
				}
				return site, nil, nil
			}
			r := transporttest.Brokers().Results(t.Context(), target, transporttest.Options{Only: []int{41}})[0]
			if want := c.found == ""; (r.Outcome == transporttest.Passed) != want || !strings.Contains(r.Detail, c.found) {
				t.Errorf("check 41 of a driver that tries again after %v = %+v; want it to find %q", c.pause, r, c.found)
			}
		})
	}
}

// trying connects to an address again and again while its broker is locked, until it is closed.
func trying(m *mutant, address string, pause time.Duration, locked *atomic.Bool) *mutant {
	var running sync.WaitGroup
	over := make(chan struct{})
	running.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(pause):
			}
			if !locked.Load() {
				continue
			}
			if c, err := net.Dial("tcp", address); err == nil {
				_ = c.Close()
			}
		}
	})
	end := sync.OnceFunc(func() { close(over) })
	m.close = func(ctx context.Context) error {
		end()
		running.Wait()
		return m.Broker.Close(ctx)
	}
	return m
}
