package parley_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
)

// slowToDeclare is a broker that takes a second for each declaration, and counts them.
type slowToDeclare struct {
	transport.Broker
	declarations atomic.Int32
}

func (b *slowToDeclare) Declare(ctx context.Context, channels []transport.Channel) error {
	b.declarations.Add(1)
	select {
	case <-time.After(time.Second):
		return b.Broker.Declare(ctx, channels)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestOfManyFirstSendsOneDeclaresTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.fabric.Process("busy")
		b := &slowToDeclare{Broker: p.Broker()}
		c, err := parley.NewClient("busy", &parley.Network{Name: "mem", Calls: p.Caller(), Messages: b, Operator: p.Broker(), Directory: w.directory})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var sends sync.WaitGroup
		for range 64 {
			sends.Go(func() {
				if _, err := clean.Send(t.Context(), c, order{Drink: "tea"}); err != nil {
					t.Errorf("Send = %v; want that it waits for the one that declares", err)
				}
			})
		}
		sends.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := clean.Send(ctx, c, order{Drink: "tea"}); parley.CodeOf(err) != parley.DeadlineExceeded {
				t.Errorf("Send = %v; want that it waits no longer than its context", err)
			}
		})
		sends.Wait()
		if n, took := b.declarations.Load(), time.Since(began); n > 2 || took > 2*time.Second {
			t.Errorf("%d declarations in %v; want one, or two where the one that began had no time", n, took)
		}
		if err := p.Broker().Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
