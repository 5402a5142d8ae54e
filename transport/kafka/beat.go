package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// keepBeating asks the cluster every second whether we are a member still. The client library does so, too, but for
// itself: it does not tell what the answer was, and asks no more while it waits for a hand-over to end.
func (r *receiver) keepBeating(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.beat(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// beat asks once.
func (r *receiver) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, Lease)
	defer cancel()
	r.mu.Lock()
	cl, ours := r.client, r.member
	r.mu.Unlock()
	if ours == "" {
		return
	}
	q := kmsg.NewPtrHeartbeatRequest()
	q.Group = r.group
	q.MemberID, q.Generation = cl.GroupMetadata()
	if q.MemberID != ours {
		r.beaten(ours, q.Generation, kerr.UnknownMemberID, time.Time{})
		return
	}
	sent := time.Now()
	if answer, err := q.RequestWith(ctx, cl); err == nil { // else the lease runs on
		r.beaten(ours, q.Generation, kerr.ErrorForCode(answer.ErrorCode), sent)
	}
}

// beaten takes the answer to a heartbeat.
func (r *receiver) beaten(member string, generation int32, err error, sent time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.member != member || r.generation < 0: // it is about who we were
	case err == nil, errors.Is(err, kerr.RebalanceInProgress):
		r.lease.confirm(sent)
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.FencedInstanceID):
		r.endAll()
	case errors.Is(err, kerr.IllegalGeneration):
		if r.outdated == generation { // else the next one has begun, and the client learns of it in this moment
			r.endAll()
		}
		r.outdated = generation
	}
}

// endAll ends all lanes at once, also while something is fetched, and without a commit: others may have everything.
func (r *receiver) endAll() {
	r.lease.end()
	r.generation = -1
	for _, l := range r.lanes {
		l.end()
	}
}

// another reports whether the client has become another member without a word, which it does when it learns only from
// an attempt to join again that it was expelled. It goes on with what it had, behind what it has fetched for the old
// one, and that would be lost. So the receiver takes another client.
func (r *receiver) another(member string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.member == "" || r.member == member {
		return false
	}
	r.endAll()
	r.renewing = true
	if r.interrupt != nil {
		r.interrupt()
	}
	poke(r.hungry)
	return true
}

// renew takes another client, if it is time to.
func (r *receiver) renew() {
	r.mu.Lock()
	renewing := r.renewing
	r.mu.Unlock()
	if !renewing {
		return
	}
	r.leave()
	cl, err := r.b.options.client(r.options...)
	if err != nil { // the same options made another client
		r.fail(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client, r.member, r.lanes, r.renewing = cl, "", nil, false
}

// leave leaves the group and frees the client.
func (r *receiver) leave() {
	ctx, cancel := r.b.alive(leaveLimit)
	defer cancel()
	_ = r.client.LeaveGroupContext(ctx) // else the group expels us after Session
	r.client.Close()
}

// ours is what the callbacks of the client go by: its membership, unless that is another one than ours.
func (r *receiver) ours(cl *kgo.Client) (member string, generation int32, ok bool) {
	member, generation = cl.GroupMetadata()
	return member, generation, !r.another(member)
}
