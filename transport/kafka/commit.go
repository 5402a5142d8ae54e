package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	commitLimit  = 5 * time.Second
	minCommitGap = 50 * time.Millisecond
	maxCommitGap = 200 * time.Millisecond
)

// keepCommitting commits what is settled a moment after the first of it: the cluster writes each commit to its disk. The
// moment is four times what the last commit took, so that a cluster that has much to do is asked less often.
func (r *receiver) keepCommitting(ctx context.Context) {
	for gap := minCommitGap; ; {
		select {
		case <-r.dirty:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(gap):
		case <-ctx.Done():
			return
		}
		begin := time.Now()
		try, cancel := context.WithTimeout(ctx, commitLimit)
		if r.commit(try, nil) != nil {
			poke(r.dirty)
		}
		cancel()
		gap = min(max(4*time.Since(begin), minCommitGap), maxCommitGap)
	}
}

// insist commits what is settled before others have it, nil = all lanes. For a moment, while a group learns who has
// what, it takes no commits. What cannot be committed in time is handled again, by the next owner.
func (r *receiver) insist(lanes []*lane) {
	ctx, cancel := r.b.alive(commitLimit)
	defer cancel()
	for {
		err := r.commit(ctx, lanes)
		if err == nil || errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.FencedInstanceID) || denied(err) || deleted(err) {
			return // done, or never
		}
		select {
		case <-time.After(tryAgain / 4):
		case <-ctx.Done():
			return
		}
	}
}

// commit tells the cluster how far lanes are settled, nil = all. It does so as the member that settled it, which the
// cluster checks: a process that was frozen in the middle does not move the place of its successor. The client's own way
// would wait while the group waits for others, which is as long as one that has died takes to be missed.
func (r *receiver) commit(ctx context.Context, only []*lane) error {
	r.committing.Lock()
	defer r.committing.Unlock()
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group = r.group
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = r.topic
	versions := make(map[*lane]int)
	r.mu.Lock()
	if r.doubtful { // a place in a topic that was deleted would count for the one that is made in its stead
		r.mu.Unlock()
		return kerr.UnknownTopicOrPartition
	}
	cl := r.client
	q.MemberID, q.Generation, topic.TopicID = r.member, r.generation, r.id
	for _, l := range r.lanes {
		if l.version != l.committed && !l.over.Load() && (only == nil || slices.Contains(only, l)) {
			offset, behind := l.place()
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = l.partition, offset, -1, new(behind.note(r.id))
			topic.Partitions = append(topic.Partitions, p)
			versions[l] = l.version
		}
	}
	r.mu.Unlock()
	if len(versions) == 0 || q.Generation < 0 {
		return nil
	}
	q.Topics = append(q.Topics, topic)
	answer, err := q.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return r.acknowledged(answer, versions)
}

func (r *receiver) acknowledged(answer *kmsg.OffsetCommitResponse, versions map[*lane]int) error {
	var failed []error
	refused := make(map[int32]bool)
	gone := false
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				failed = append(failed, err)
				refused[p.Partition] = true
				gone = gone || deleted(err)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for l, version := range versions {
		if !refused[l.partition] {
			l.committed = version
		}
	}
	if gone {
		r.doubtful = true
		poke(r.doubt)
	}
	return errors.Join(failed...)
}
