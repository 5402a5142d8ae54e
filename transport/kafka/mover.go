package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// mover takes part in moving delayed messages to their channels when they are due. All Brokers that have declared
// something share the partitions of the topic of delayed messages as a consumer group, which commits nothing: a new
// owner reads its partition from the beginning, of which compaction leaves little more than what waits.
type mover struct {
	b       *Broker
	carries sync.WaitGroup

	mu       sync.Mutex
	carriers map[int32]*carrier
}

// keep starts the mover and the sweeper if they do not run.
func (b *Broker) keep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keeping || b.closed {
		return
	}
	b.keeping = true
	m := &mover{b: b, carriers: make(map[int32]*carrier)}
	b.users.Go(m.run)
	b.users.Go(b.keepSweeping)
}

// run moves until the Broker is closed.
func (m *mover) run() {
	ctx, cancel := m.b.until(context.Background())
	defer cancel()
	for ctx.Err() == nil {
		m.takePart(ctx)
	}
	m.carries.Wait()
}

// takePart is a member of the group until ctx is done, or until the topic is not the one that was there.
func (m *mover) takePart(ctx context.Context) {
	life, cut := m.b.life()
	defer cut()
	cl, err := m.client(life)
	if err != nil { // the same options made another client
		<-ctx.Done()
		return
	}
	for lost := false; ctx.Err() == nil && !lost; {
		fs := cl.PollFetches(ctx)
		fs.EachPartition(func(p kgo.FetchTopicPartition) {
			m.mu.Lock()
			c := m.carriers[p.Partition]
			m.mu.Unlock()
			if c != nil {
				c.add(p.Records)
			}
		})
		fs.EachError(func(_ string, _ int32, err error) { lost = lost || deleted(err) })
		cl.AllowRebalance()
	}
	leave, stop := m.b.alive(leaveLimit)
	defer stop()
	_ = cl.LeaveGroupContext(leave) // else the group expels us after Session
	cut()
	cl.CloseAllowingRebalance()
	m.gone(leave, nil, map[string][]int32{m.b.names.delay(): {0, 1, 2, 3}})
}

func (m *mover) client(life context.Context) (*kgo.Client, error) {
	return m.b.options.client(
		kgo.WithContext(life),
		kgo.ConsumerGroup(m.b.names.delay()),
		kgo.ConsumeTopics(m.b.names.delay()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(Session),
		kgo.HeartbeatInterval(heartbeat),
		kgo.ConnIdleTimeout(memberIdle),
		kgo.RebalanceTimeout(answerLimit), // who joins waits so long for a silent member, and cannot leave meanwhile
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(), // what was fetched for one carrier never gets to its successor
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(m.assigned),
		kgo.OnPartitionsRevoked(m.gone),
		kgo.OnPartitionsLost(m.gone),
	)
}

func (m *mover) assigned(_ context.Context, _ *kgo.Client, now map[string][]int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range now[m.b.names.delay()] {
		c := newCarrier(m.b, p)
		m.carriers[p] = c
		m.carries.Go(c.run)
	}
}

// gone stops the carriers of partitions, and waits for them.
func (m *mover) gone(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	var stopped []*carrier
	m.mu.Lock()
	for _, p := range lost[m.b.names.delay()] {
		if c := m.carriers[p]; c != nil {
			c.cancel()
			stopped = append(stopped, c)
			delete(m.carriers, p)
		}
	}
	m.mu.Unlock()
	limit := time.After(transport.HandOver)
	for _, c := range stopped {
		select {
		case <-c.ended:
		case <-limit: // its transactions end when its successor begins
			return
		case <-m.b.dead:
			return
		}
	}
}
