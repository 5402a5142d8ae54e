package mem_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-io/parley/transport"
)

// fill sends n messages, message i with key k(i mod keys).
func (r *rig) fill(n, keys int) {
	for i := range n {
		r.sendAll(&transport.Envelope{ID: fmt.Sprintf("%d", i), Key: fmt.Sprintf("k%d", i%keys), Address: keyed.Address})
	}
}

// partitions are those of the deliveries, with how many of each.
func partitions(deliveries []*transport.Delivery) map[int]int {
	n := make(map[int]int)
	for _, d := range deliveries {
		n[d.Partition]++
	}
	return n
}

func TestEachPartitionHasOneOwnerAndAllOwnersHaveTheirShare(t *testing.T) {
	bubble(t, func(r *rig) {
		var all []*inbox
		for range 3 {
			all = append(all, r.hold(r.client, transport.Route{Channel: keyed}))
		}
		r.fill(200, 100)
		owner := make(map[int]int)
		for i, in := range all {
			mine := partitions(in.deliveries())
			if len(mine) < 2 || len(mine) > 3 {
				r.Errorf("receiver %d owns partitions %v, want 2 or 3 of 8", i, mine)
			}
			for p := range mine {
				if other, taken := owner[p]; taken {
					r.Errorf("receivers %d and %d both got partition %d", other, i, p)
				}
				owner[p] = i
			}
		}
		if len(owner) != 8 {
			r.Errorf("partitions with an owner: %v, want all 8", owner)
		}
	})
}

func TestAPartitionChangesHandsOnlyWhenNothingOfItIsUnsettled(t *testing.T) {
	bubble(t, func(r *rig) {
		one := transport.Channel{Address: "one", Pattern: transport.Queue, Partitions: 1}
		r.declare(one)
		first := r.hold(r.client, transport.Route{Channel: one, Credit: transport.NewCredit(2)})
		r.send("one", "a", "b", "c")
		got := first.deliveries()
		second := r.hold(r.client, transport.Route{Channel: one})
		first.stop()
		got[0].Settle(transport.Done)
		second.want()
		if !got[1].Valid() {
			r.Error("Valid = false while the owner still holds a delivery, want true")
		}
		got[1].Settle(transport.Return)
		again := second.deliveries()
		if len(again) != 2 || again[0].Envelope.ID != "b" || again[1].Envelope.ID != "c" {
			r.Fatalf("the new owner got %d deliveries, want b and c", len(again))
		}
		if again[0].Fence <= got[1].Fence {
			r.Errorf("Fence = %d for the new owner, want more than %d", again[0].Fence, got[1].Fence)
		}
		if err := first.result(); err != nil {
			r.Errorf("Receive = %v, want nil", err)
		}
	})
}

func TestANewcomerGetsItsShareWithoutDisorder(t *testing.T) {
	bubble(t, func(r *rig) {
		first := r.hold(r.client, transport.Route{Channel: keyed})
		r.fill(80, 20)
		held := first.deliveries()
		second := r.hold(r.client, transport.Route{Channel: keyed})
		r.fill(0, 1)
		for i := 80; i < 160; i++ {
			r.sendAll(&transport.Envelope{ID: fmt.Sprintf("%d", i), Key: fmt.Sprintf("k%d", i%20), Address: keyed.Address})
		}
		moved := partitions(second.deliveries())
		if len(moved) != 0 {
			r.Errorf("the newcomer got %v while the owner held all partitions, want nothing", moved)
		}
		kept := partitions(first.deliveries()) // of partitions that stay
		if len(kept) != 4 {
			r.Errorf("the old owner goes on with partitions %v, want 4 of 8", kept)
		}
		done(held)
		moved = partitions(second.deliveries())
		if len(moved) != 4 {
			r.Errorf("the newcomer got partitions %v, want 4 of 8", moved)
		}
		for p := range moved {
			if kept[p] > 0 {
				r.Errorf("both receivers got partition %d", p)
			}
		}
	})
}

func TestAnOwnerGoesOnAtOnceWhenTheNewcomerLeavesAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		two := transport.Channel{Address: "two", Pattern: transport.Queue, Partitions: 2}
		r.declare(two)
		send := func(id string) {
			for _, key := range []string{"a", "b"} { // one for each partition
				r.sendAll(&transport.Envelope{ID: id + key, Key: key, Address: two.Address})
			}
		}
		owner := r.hold(r.client, transport.Route{Channel: two})
		send("1")
		owner.want("1a", "1b")
		newcomer := r.hold(r.client, transport.Route{Channel: two})
		send("2")
		if got := owner.ids(); len(got) != 1 {
			r.Errorf("received %v while a partition is to change hands, want one of the other partition", got)
		}
		if err := newcomer.end(); err != nil {
			r.Errorf("Receive = %v, want nil", err)
		}
		time.Sleep(10 * time.Millisecond) // for what the owner may have been about to give back
		if got := owner.ids(); len(got) != 1 {
			r.Errorf("received %v once the newcomer has left, want the one that was held back", got)
		}
	})
}

func TestWhatAKilledOwnerHeldComesAgainInOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		victim, heir := r.fabric.Process("victim"), r.fabric.Process("heir")
		in := r.hold(victim, transport.Route{Channel: keyed})
		r.fill(100, 10)
		held := in.deliveries()
		if len(held) != 100 {
			r.Fatalf("%d deliveries, want 100", len(held))
		}
		for i, d := range held {
			if i%3 == 0 {
				d.Settle(transport.Done)
			}
		}
		next := r.hold(heir, transport.Route{Channel: keyed})
		victim.Kill()
		last := make(map[string]int)
		again := next.deliveries()
		if len(again) != 66 {
			r.Errorf("%d deliveries after the kill, want the 66 that were not settled", len(again))
		}
		for _, d := range again {
			var n int
			_, _ = fmt.Sscan(d.Envelope.ID, &n)
			if n < last[d.Envelope.Key] {
				r.Errorf("key %s: message %d after %d", d.Envelope.Key, n, last[d.Envelope.Key])
			}
			last[d.Envelope.Key] = n
		}
		if held[1].Valid() {
			r.Error("Valid = true for a delivery of the killed owner, want false")
		}
		select {
		case <-held[1].Revoked:
		default:
			r.Error("Revoked is open for a delivery of the killed owner, want it closed")
		}
	})
}

func TestAnExpelledProcessLosesItsDeliveriesAndGoesOn(t *testing.T) {
	bubble(t, func(r *rig) {
		zombie := r.fabric.Process("zombie")
		one := transport.Channel{Address: "one", Pattern: transport.Queue, Partitions: 1}
		r.declare(one)
		in := r.hold(zombie, transport.Route{Channel: one})
		r.send("one", "a", "b")
		held := in.deliveries()
		other := r.hold(r.client, transport.Route{Channel: one})
		zombie.Expel()
		<-held[0].Revoked
		held[0].Settle(transport.Done) // too late
		again := other.deliveries()
		if len(again) != 2 || again[0].Fence <= held[0].Fence || held[0].Valid() || !again[0].Valid() {
			r.Fatalf("after Expel the other got %d deliveries, want 2 with a higher fence, valid there and not here", len(again))
		}
		done(again)
		_ = other.end()
		r.send("one", "c")
		in.want("c") // the zombie is a newcomer and inherits
		synctest.Wait()
	})
}

func TestASingleReceiverGetsPartitionsInTheOrderOfTheChannel(t *testing.T) {
	bubble(t, func(r *rig) {
		r.fill(50, 50)
		in := r.handle(r.client, transport.Route{Channel: keyed, Credit: transport.NewCredit(1)})
		want := make([]string, 50)
		for i := range want {
			want[i] = fmt.Sprintf("%d", i)
		}
		in.want(want...)
	})
}
