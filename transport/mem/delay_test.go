package mem_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/parley-io/parley/transport"
)

func TestNotBeforeIsKeptToTheMomentAndInOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		in := r.handle(r.client, transport.Route{Channel: jobs})
		start := time.Now()
		at := func(id string, d time.Duration) {
			r.sendAll(&transport.Envelope{ID: id, Address: jobs.Address, NotBefore: start.Add(d)})
		}
		at("year", 365*24*time.Hour)
		for _, id := range []string{"hour", "h2", "h3", "h4", "h5"} {
			at(id, time.Hour)
		}
		at("past", -time.Hour)
		in.want("past")
		time.Sleep(time.Hour - 1)
		in.want()
		time.Sleep(time.Nanosecond)
		got := in.deliveries()
		var order []string
		for _, d := range got {
			order = append(order, d.Envelope.ID)
			if !d.Accepted.Equal(start) {
				r.Errorf("Accepted = %v, want %v, when it was sent", d.Accepted, start)
			}
		}
		if want := []string{"hour", "h2", "h3", "h4", "h5"}; !slices.Equal(order, want) {
			r.Errorf("an hour later received %v, want %v", order, want)
		}
		at("hour", 2*time.Hour)
		b := r.client.Broker()
		if err := b.CancelDelayed(r.Context(), jobs, "hour"); err != nil {
			r.Errorf("CancelDelayed = %v, want nil", err)
		}
		if err := b.CancelDelayed(r.Context(), jobs, "hour"); !errors.Is(err, transport.ErrNotFound) {
			r.Errorf("CancelDelayed again = %v, want not found", err)
		}
		at("hour", 2*time.Hour) // cancelled, so it may be sent again in the window
		time.Sleep(time.Hour)
		in.want("hour")
		time.Sleep(365 * 24 * time.Hour)
		in.want("year")
	})
}

func TestAMessageSentAgainAfterItsCancellationIsDeduplicatedFromThen(t *testing.T) {
	bubble(t, func(r *rig) {
		in := r.handle(r.client, transport.Route{Channel: jobs})
		send := func() {
			r.sendAll(&transport.Envelope{ID: "a", Address: jobs.Address, NotBefore: time.Now().Add(time.Second)})
		}
		send()
		if err := r.client.Broker().CancelDelayed(r.Context(), jobs, "a"); err != nil {
			r.Errorf("CancelDelayed = %v, want nil", err)
		}
		time.Sleep(minute)
		send()
		time.Sleep(minute + time.Second) // the window of the first is over, that of the second is not
		in.want("a")
		send()
		time.Sleep(minute)
		in.want()
	})
}
