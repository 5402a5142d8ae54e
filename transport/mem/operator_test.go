package mem_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestAnOperatorSeesTheBacklogAndRemovesGroups(t *testing.T) {
	bubble(t, func(r *rig) {
		b, ctx := r.client.Broker(), r.Context()
		in := r.hold(r.client, transport.Route{Channel: placed, Group: "stock", Credit: transport.NewCredit(1)})
		other := r.handle(r.client, transport.Route{Channel: placed, Group: "mail"})
		first := time.Now()
		r.send(placed.Address, "a")
		time.Sleep(minute)
		r.send(placed.Address, "b", "c")
		synctest.Wait()
		waiting, oldest, err := b.Backlog(ctx, placed, "stock")
		if waiting != 3 || !oldest.Equal(first) || err != nil {
			r.Errorf("Backlog(stock) = %d, %v, %v; want 3, %v, nil", waiting, oldest, err, first)
		}
		if waiting, oldest, err = b.Backlog(ctx, placed, "mail"); waiting != 0 || !oldest.IsZero() || err != nil {
			r.Errorf("Backlog(mail) = %d, %v, %v; want 0, zero, nil", waiting, oldest, err)
		}
		d := in.deliveries()[0]
		if err := errors.Join(b.RemoveGroup(ctx, placed, "stock"), b.RemoveGroup(ctx, placed, "stock")); err != nil {
			r.Errorf("RemoveGroup, twice = %v, want nil", err)
		}
		if err := in.result(); !errors.Is(err, transport.ErrNotFound) || d.Valid() {
			r.Errorf("Receive of a removed group = %v, delivery valid %v; want not found, false", err, d.Valid())
		}
		d.Settle(transport.Done)
		if _, _, err := b.Backlog(ctx, placed, "stock"); !errors.Is(err, transport.ErrNotFound) {
			r.Errorf("Backlog of a removed group = %v, want not found", err)
		}
		if n := r.send(placed.Address, "d")[0].Groups; n != 1 {
			r.Errorf("Receipt.Groups = %d, want 1", n)
		}
		other.want("a", "b", "c", "d")
	})
}
