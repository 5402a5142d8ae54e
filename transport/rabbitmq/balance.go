package rabbitmq

import (
	"cmp"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// crowd is how a receiver knows how many members its group has: each consumes from a queue that never gets a message.
type crowd struct {
	stay   *stay // nil = not yet
	looked time.Time
	excess int // lanes that the last look found to be too many here
}

// lookEvery is how often members are counted. Two looks in a row must say the same before a partition passes on.
const lookEvery = time.Second

// membersKept is how long the queue of members is there without one.
const membersKept = 10 * time.Minute

// fairShare is how many of n partitions each of the members has, at the most.
func fairShare(n, members int) int {
	members = max(members, 1)
	return (n + members - 1) / members
}

// join makes the receiver a member. As long as that fails, it receives all the same and passes nothing on.
func (r *receiver) join(s *session, now time.Time) {
	if !r.balanced || r.crowd.stay != nil && !r.crowd.stay.ended || now.Sub(r.crowd.looked) < lookEvery {
		return
	}
	if r.crowd.stay != nil {
		_ = r.crowd.stay.ch.Close() // ended already is fine
	}
	r.crowd = crowd{looked: now}
	members := r.b.names.members(r.route.Channel.Address, r.route.Group)
	if err := r.layMembers(s, members); err != nil {
		return
	}
	if y, err := r.consume(s, members, 1, nil); err == nil {
		r.crowd.stay = y
	}
}

// layMembers makes the queue that members consume from. It is a quorum queue, which the loss of a node of a cluster does not
// take away, and goes by itself once there has been no member for membersKept.
func (r *receiver) layMembers(s *session, name string) error {
	err := s.transact(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		return err
	})
	if !isMissing(err) {
		return err
	}
	err = s.transact(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{
			"x-queue-type": "quorum", "x-expires": membersKept.Milliseconds(),
		})
		return err
	})
	if err != nil {
		return err
	}
	return s.transact(r.b.settle)
}

// balance passes on what is more than this member's share. The server leaves every partition with the first who comes,
// and tells nobody that he has it: so what counts is partitions of which something came. Who leaves one waits at the end
// of its line.
func (r *receiver) balance(now time.Time) {
	y := r.crowd.stay
	if y == nil || y.ended || now.Sub(r.crowd.looked) < lookEvery {
		return
	}
	r.crowd.looked = now
	queue, err := y.ch.QueueDeclarePassive(r.b.names.members(r.route.Channel.Address, r.route.Group), true, false, false, false, nil)
	if err != nil {
		return // the channel has ended, which is told otherwise
	}
	var owned []*tenure
	for _, l := range r.lanes {
		if t := l.tenure; t != nil && t.owned {
			if t.leaving {
				return // one thing after the other
			}
			owned = append(owned, t)
		}
	}
	before := r.crowd.excess
	r.crowd.excess = max(len(owned)-fairShare(len(r.lanes), queue.Consumers), 0)
	n := min(before, r.crowd.excess)
	slices.SortStableFunc(owned, func(a, b *tenure) int { return cmp.Compare(a.unsettled, b.unsettled) })
	for _, t := range owned[:n] {
		r.yield(t, now.Add(transport.HandOver))
	}
}
