package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// look ends a doubt: it has the receiver begin again where its topic was deleted, or is another one by now, and ends it
// where its group was removed. An answer that does not come is asked for again.
func (r *receiver) look(ctx context.Context) {
	r.mu.Lock()
	doubtful, id := r.doubtful, r.id
	r.mu.Unlock()
	if !doubtful {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, Lease/2) // so that the next heartbeat comes in time
	defer cancel()
	all, err := r.b.ask(ctx, r.topic)
	if err != nil {
		return
	}
	t := all[r.topic]
	lost := deleted(t.Err) || t.Err == nil && t.ID != id
	if !lost && r.route.Channel.Pattern != transport.Queue {
		known, err := r.b.registry.has(ctx, r.route.Channel.Address, r.route.Group)
		if err != nil && !denied(err) {
			return
		}
		if err == nil && !known {
			r.fail(errRemoved)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubtful = false
	if lost {
		r.replace()
	}
}

var errRemoved = fmt.Errorf("the group was removed: %w", transport.ErrNotFound)

// another reports whether the client has become another member without a word, which it does when it learns only from
// an attempt to join again that it was expelled. It goes on with what it had, behind what it has fetched for the old
// one, and that would be lost. So the receiver takes another client.
func (r *receiver) another(member string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.member == "" || r.member == member {
		return false
	}
	r.replace()
	return true
}

// replace ends what the client has, and has another one take its place. r.mu is held.
func (r *receiver) replace() {
	r.endAll()
	r.renewing = true
	if r.interrupt != nil {
		r.interrupt()
	}
	poke(r.hungry)
}

// renew takes another client, if it is time to.
func (r *receiver) renew(ctx context.Context) {
	r.mu.Lock()
	renewing := r.renewing
	r.mu.Unlock()
	if !renewing {
		return
	}
	r.leave()
	if err := r.open(ctx); err != nil {
		r.fail(err)
	}
}

// leave leaves the group and frees the client. A client that waits for others to join does not wait any longer.
func (r *receiver) leave() {
	if r.cut == nil {
		return
	}
	ctx, cancel := r.b.alive(leaveLimit)
	defer cancel()
	_ = r.client.LeaveGroupContext(ctx) // else the group expels us after Session
	r.cut()
	r.cut = nil
	r.client.Close()
}

// ours is what the callbacks of the client go by: its membership, unless that is another one than ours.
func (r *receiver) ours(cl *kgo.Client) (member string, generation int32, ok bool) {
	member, generation = cl.GroupMetadata()
	return member, generation, !r.another(member)
}
