package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

const (
	fetchBytes = 256 << 10 // that the cluster sends of a partition at a time, compressed
	lowBytes   = 256 << 10 // below which a lane wants more
	fullBytes  = 16 << 20  // that wait in all lanes before nothing more is fetched for those with more than their share
	leastShare = 512 << 10
)

// fetch brings what the cluster has to the lanes, until ctx is done.
func (r *receiver) fetch(ctx context.Context) {
	for ctx.Err() == nil {
		r.renew(ctx)
		r.mu.Lock()
		poll, cancel := context.WithCancel(ctx)
		r.interrupt = cancel
		wanted := r.changing == 0 && !r.renewing && r.want()
		if wanted {
			r.spare()
		}
		if r.changing > 0 || r.renewing {
			cancel()
		}
		r.mu.Unlock()
		if wanted {
			r.gate.Lock()
			fs := r.client.PollFetches(poll)
			r.arrived(fs)
			r.gate.Unlock()
			cancel()
			if fs.IsClientClosed() {
				return
			}
			continue
		}
		cancel()
		select {
		case <-r.hungry:
		case <-ctx.Done():
		}
	}
}

// want reports whether something has room for more: while nothing has, what the client has fetched stays with it.
func (r *receiver) want() bool {
	if r.stopping {
		return false
	}
	for _, l := range r.lanes {
		if l.wants() {
			return true
		}
	}
	return len(r.lanes) == 0
}

// arrived sorts what was fetched into the lanes.
func (r *receiver) arrived(fs kgo.Fetches) {
	fs.EachError(func(_ string, _ int32, err error) {
		if deleted(err) { // the client never takes the topic that is there instead
			r.mu.Lock()
			r.replace()
			r.mu.Unlock()
		}
		if denied(err) {
			r.fail(&transport.Error{Code: transport.PermissionDenied, NoRetry: true, Cause: err,
				Message: "this user may not read the topic " + r.topic + ", or not join the group " + r.group + ": give it the right"})
		}
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := false
	fs.EachPartition(func(p kgo.FetchTopicPartition) {
		l := r.lane(p.Partition)
		if l == nil || l.over.Load() || len(p.Records) == 0 {
			return
		}
		l.add(p.Records)
		moved = moved || l.version != l.committed
	})
	if moved {
		poke(r.dirty)
	}
	r.feed()
	poke(r.wake)
}

// spare has nothing more fetched for lanes that are full, so that they cost the others nothing, which want more. The
// client throws away what it has fetched for them, and fetches it again once they are resumed; so a share is large
// enough for lanes that are emptied side by side.
func (r *receiver) spare() {
	var pause []int32
	for _, l := range r.lanes {
		if !l.paused && l.full() {
			l.paused = true
			pause = append(pause, l.partition)
		}
	}
	if len(pause) > 0 {
		r.client.PauseFetchPartitions(map[string][]int32{r.topic: pause})
	}
}

// feed asks for more if there is room.
func (r *receiver) feed() {
	var resume []int32
	for _, l := range r.lanes {
		if l.paused && l.wants() {
			l.paused = false
			resume = append(resume, l.partition)
		}
	}
	if len(resume) > 0 {
		r.client.ResumeFetchPartitions(map[string][]int32{r.topic: resume})
	}
	if r.want() {
		poke(r.hungry)
	}
}
