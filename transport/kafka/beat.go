package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// keepBeating asks the cluster every second whether we are a member still, and where there is doubt, what we receive from.
// The client library asks for the first, too, but for itself: it does not tell what the answer was, and asks no more
// while it waits for a hand-over to end.
func (r *receiver) keepBeating(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.beat(ctx)
			r.look(ctx)
		case <-r.doubt:
			r.look(ctx)
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
		poke(r.wake) // the loop hands out nothing without a lease
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
