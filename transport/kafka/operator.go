package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/parley-io/parley/transport"
)

// Backlog implements [transport.Operator]. A group or channel that does not exist is [transport.ErrNotFound]. Copies
// that are for other groups count until a receiver of the group has come past them.
func (b *Broker) Backlog(ctx context.Context, c transport.Channel, group string) (waiting int64, oldest time.Time, err error) {
	err = b.operate(ctx, "backlog", c, func(ctx context.Context) error {
		if c.Pattern != transport.Queue {
			known, err := b.registry.has(ctx, c.Address, group)
			if err != nil {
				return err
			}
			if !known {
				return fmt.Errorf("group %q: %w", group, transport.ErrNotFound)
			}
		}
		waiting, oldest, err = b.backlog(ctx, c, b.names.group(c, group))
		return err
	})
	return waiting, oldest, err
}

func (b *Broker) backlog(ctx context.Context, c transport.Channel, group string) (waiting int64, oldest time.Time, err error) {
	topic := b.names.topic(c.Address)
	ends, err := listed(c, topic)(b.admin.ListCommittedOffsets(ctx, topic))
	if err != nil {
		return 0, oldest, err
	}
	starts, err := listed(c, topic)(b.admin.ListStartOffsets(ctx, topic))
	if err != nil {
		return 0, oldest, err
	}
	placed, err := b.places(ctx, group, topic)
	if err != nil {
		return 0, oldest, err
	}
	for p, end := range ends {
		from := max(starts[p], placed[p])
		if from >= end {
			continue
		}
		waiting += end - from
		t, err := b.acceptedAt(ctx, c, p, from)
		if err != nil {
			return 0, oldest, err
		}
		if oldest.IsZero() || !t.IsZero() && t.Before(oldest) {
			oldest = t
		}
	}
	return waiting, oldest, nil
}

// RemoveGroup implements [transport.Operator]. Running Receives of the group end with an error wrapping
// [transport.ErrNotFound]. The one group of a Queue cannot be removed.
func (b *Broker) RemoveGroup(ctx context.Context, c transport.Channel, group string) error {
	return b.operate(ctx, "remove group", c, func(ctx context.Context) error {
		if err := transport.CheckGroup(group); err != nil {
			return err
		}
		if c.Pattern == transport.Queue {
			return errors.New("a queue's one group cannot be removed")
		}
		known, err := b.registry.has(ctx, c.Address, group)
		if err != nil {
			return err
		}
		if known { // before its members learn that they are expelled
			e := entryOfGroup(c.Address, group)
			e.Removed = true
			if err := b.registry.add(ctx, e); err != nil {
				return err
			}
		}
		return b.disband(ctx, b.names.group(c, group))
	})
}

// disband expels the members of a consumer group and deletes it.
func (b *Broker) disband(ctx context.Context, group string) error {
	for {
		_, err := b.admin.DeleteGroup(ctx, group)
		switch {
		case err == nil, errors.Is(err, kerr.GroupIDNotFound):
			return nil
		case !errors.Is(err, kerr.NonEmptyGroup):
			return err
		}
		if err := b.expel(ctx, group); err != nil {
			return err
		}
		select {
		case <-time.After(tryAgain):
		case <-ctx.Done():
			return err
		}
	}
}

// expel takes all members out of a consumer group.
func (b *Broker) expel(ctx context.Context, group string) error {
	groups, err := b.admin.DescribeGroups(ctx, group)
	if err != nil {
		return err
	}
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group = group
	for _, m := range groups[group].Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		q.Members = append(q.Members, member)
	}
	if len(q.Members) == 0 {
		return nil
	}
	answer, err := q.RequestWith(ctx, b.client)
	if err == nil {
		err = kerr.ErrorForCode(answer.ErrorCode)
	}
	return err
}

// operate does f with a channel that exists.
func (b *Broker) operate(ctx context.Context, what string, c transport.Channel, f func(context.Context) error) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	topic := b.names.topic(c.Address)
	all, err := b.admin.ListTopics(ctx, topic)
	if err == nil {
		err = all[topic].Err
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		err = fmt.Errorf("no such channel: %w", transport.ErrNotFound)
	}
	if err == nil {
		err = f(ctx)
	}
	if err != nil {
		return fmt.Errorf("kafka: %s of %s: %w", what, c.Address, err)
	}
	return nil
}
