package kafka

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/parley-io/parley/transport"
)

// leaveLimit is how long a group is told that we leave it.
const leaveLimit = 5 * time.Second

// memberIdle is after how long a group's member gives up a connection that it does not use: within twice that. The client
// library keeps one for joining alone. Where a firewall has forgotten all of them, the one of the heartbeats is given up
// after 10 s; to join again on another one that is as silent would take all the time that a hand-over may, and 10 s more.
const memberIdle = 4 * time.Second

// membership makes the client a member of the group. Only those partitions move that must; what it has of the others goes
// on meanwhile.
func (r *receiver) membership() []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(r.group),
		kgo.ConsumeTopics(r.topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(Session),
		kgo.HeartbeatInterval(heartbeat),
		kgo.ConnIdleTimeout(memberIdle),
		kgo.RebalanceTimeout(transport.HandOver + 2*commitLimit), // a partition that others wait for is given up by then
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(r.assigned),
		kgo.OnOffsetsFetched(r.fetched),
		kgo.AdjustFetchOffsetsFn(r.adjusted),
		kgo.OnPartitionsRevoked(r.revoked),
		kgo.OnPartitionsLost(r.lost),
	}
}

// register gives a new group its place, before it has members: what is sent from now on is received, whatever happens.
// With again, it was registered, and if it is so no longer then it was removed.
func (r *receiver) register(ctx context.Context, again bool) error {
	c := r.route.Channel
	if c.Pattern == transport.Queue {
		return nil // begins where no place is known
	}
	for {
		known, err := r.b.registry.has(ctx, c.Address, r.route.Group)
		if err != nil {
			return err
		}
		if again && !known {
			return errRemoved
		}
		var placed map[int32]int64 // what is left of a group that was removed does not count
		from := r.from
		if known { // the cluster may have forgotten places, as it does after offsets.retention.minutes without members
			from = transport.Position{Start: true}
			if placed, err = r.b.places(ctx, r.group, r.topic); err != nil {
				return err
			}
		}
		if err = r.place(ctx, placed, from); err == nil {
			if known {
				return nil
			}
			return r.b.registry.add(ctx, entryOfGroup(c.Address, r.route.Group))
		}
		if !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.RebalanceInProgress) {
			return err
		}
		select { // it has members: they were faster
		case <-time.After(tryAgain):
		case <-ctx.Done():
			return err
		}
	}
}

// place gives the group its place in the partitions where it has none.
func (r *receiver) place(ctx context.Context, placed map[int32]int64, from transport.Position) error {
	if len(placed) == partitions(r.route.Channel) {
		return nil
	}
	at, err := r.b.offsets(ctx, r.route.Channel, from, false)
	if err != nil {
		return err
	}
	var offsets kadm.Offsets
	note := new(ahead).note(r.b.topicID(r.topic))
	for p, o := range at {
		if _, ok := placed[p]; !ok {
			offsets.Add(kadm.Offset{Topic: r.topic, Partition: p, At: o, LeaderEpoch: -1, Metadata: note})
		}
	}
	return r.b.admin.CommitAllOffsets(ctx, r.group, offsets)
}

// places are a group's committed offsets.
func (b *Broker) places(ctx context.Context, group, topic string) (map[int32]int64, error) {
	placed := make(map[int32]int64)
	found, err := b.admin.FetchOffsetsForTopics(ctx, group, topic)
	if err == nil {
		err = found.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return placed, nil
	}
	found.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic && o.At >= 0 {
			placed[o.Partition] = b.come(o.Offset)
		}
	})
	return placed, err
}

// change does f while nothing is fetched.
func (r *receiver) change(f func()) {
	r.mu.Lock()
	r.changing++
	if r.interrupt != nil {
		r.interrupt()
	}
	r.mu.Unlock()
	r.gate.Lock()
	r.mu.Lock()
	f()
	r.changing--
	r.mu.Unlock()
	r.gate.Unlock()
	poke(r.hungry)
	poke(r.wake)
}

// assigned is called when the group has settled who has what, also if nothing is new. The client fetches nothing of what
// is new before it returns.
func (r *receiver) assigned(_ context.Context, cl *kgo.Client, now map[string][]int32) {
	member, generation, ok := r.ours(cl)
	if !ok {
		return
	}
	r.change(func() {
		r.member, r.generation = member, generation
		for _, p := range now[r.topic] {
			l := newLane(r, p, uint64(generation))
			r.lanes = append(r.lanes, l)
			if r.stopping {
				l.give()
			}
		}
		select {
		case <-r.joined:
		default:
			close(r.joined)
		}
	})
	ctx, cancel := r.b.alive(Lease)
	defer cancel()
	r.beat(ctx) // so that the lease holds from the first delivery on
}

// fetched is called with the places of what is new, between assigned and adjusted. It takes note of what earlier owners
// have settled ahead of them.
func (r *receiver) fetched(_ context.Context, _ *kgo.Client, all *kmsg.OffsetFetchResponse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range all.Groups {
		for _, t := range g.Topics { // there is one
			for _, p := range t.Partitions {
				if l := r.lane(p.Partition); l != nil && p.Metadata != nil {
					behind, noted := readNote(p.Offset, *p.Metadata)
					if l.astray = astray(noted, r.id); !l.astray {
						l.before = behind
					}
				}
			}
		}
	}
	return nil
}

// adjusted has what is new begin with its oldest message where its place is in a topic that was deleted.
func (r *receiver) adjusted(_ context.Context, all map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range all[r.topic] {
		if l := r.lane(p); l != nil && l.astray {
			all[r.topic][p] = kgo.NewOffset().AtStart()
		}
	}
	return all, nil
}

// revoked is called before partitions pass to others in order, and when we leave. They do so when it returns.
func (r *receiver) revoked(_ context.Context, cl *kgo.Client, gone map[string][]int32) {
	member, generation, ok := r.ours(cl)
	if !ok {
		return
	}
	var lanes []*lane
	r.change(func() {
		r.member, r.generation = member, generation // it is a new one, which assigned tells of only after this
		for _, l := range r.lanes {
			if slices.Contains(gone[r.topic], l.partition) {
				l.give()
				lanes = append(lanes, l)
			}
		}
	})
	limit := time.After(transport.HandOver)
	for _, l := range lanes {
		select {
		case <-l.idle:
		case <-limit:
			limit = closedClock()
		case <-r.b.dead:
		}
	}
	r.insist(lanes)
	r.drop(lanes)
}

// lost is called when the group has expelled us: others may have everything.
func (r *receiver) lost(context.Context, *kgo.Client, map[string][]int32) {
	r.mu.Lock()
	r.endAll()
	r.member = "" // the client forgets what it had, so that it may be another member
	r.doubtful = true
	poke(r.doubt)
	lanes := slices.Clone(r.lanes)
	r.mu.Unlock()
	r.drop(lanes)
}

// drop ends lanes.
func (r *receiver) drop(lanes []*lane) {
	if len(lanes) == 0 {
		return
	}
	r.change(func() {
		paused := map[string][]int32{}
		for _, l := range lanes {
			l.end()
			if l.paused {
				paused[r.topic] = append(paused[r.topic], l.partition)
			}
		}
		if len(paused) > 0 { // else it would still be so when they come back
			r.client.ResumeFetchPartitions(paused)
		}
		r.lanes = slices.DeleteFunc(r.lanes, func(l *lane) bool { return slices.Contains(lanes, l) })
	})
}

// closedClock has fired.
func closedClock() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}
