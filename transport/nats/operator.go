package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-io/parley/transport"
)

// Backlog implements [transport.Operator]. A group or channel that does not exist is [transport.ErrNotFound].
func (b *Broker) Backlog(ctx context.Context, c transport.Channel, group string) (waiting int64, oldest time.Time, err error) {
	err = b.operate(ctx, "backlog", c, func(s jetstream.Stream) error {
		for _, name := range consumers(c, group) {
			g, err := s.Consumer(ctx, name)
			if errors.Is(err, jetstream.ErrConsumerNotFound) && c.Pattern == transport.Queue { // no receiver has ever been there
				waiting = int64(s.CachedInfo().State.Msgs)
				oldest, err = oldestAfter(ctx, s, 0, b.names.filters(c, group))
				return err
			}
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				return fmt.Errorf("group %q: %w", group, transport.ErrNotFound)
			}
			if err != nil {
				return err
			}
			i := g.CachedInfo()
			n := int64(i.NumPending) + int64(i.NumAckPending)
			if n == 0 {
				continue
			}
			waiting += n
			first, err := oldestAfter(ctx, s, i.AckFloor.Stream, filtersOf(i.Config))
			if err != nil {
				return err
			}
			if oldest.IsZero() || !first.IsZero() && first.Before(oldest) {
				oldest = first
			}
		}
		return nil
	})
	return waiting, oldest, err
}

// filtersOf are the subjects that a consumer gets; none = all.
func filtersOf(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

// oldestAfter is when the first message behind a sequence was stored. No filters mean every subject.
func oldestAfter(ctx context.Context, s jetstream.Stream, sequence uint64, filters []string) (oldest time.Time, err error) {
	if len(filters) == 0 {
		filters = []string{">"}
	}
	for _, f := range filters {
		m, err := s.GetMsg(ctx, sequence+1, jetstream.WithGetMsgSubject(f))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return oldest, err
		}
		if oldest.IsZero() || m.Time.Before(oldest) {
			oldest = m.Time
		}
	}
	return oldest, nil
}

// RemoveGroup implements [transport.Operator]. Running Receives of the group end with an error wrapping
// [transport.ErrNotFound]. The one group of a Queue cannot be removed. Who had which partition remains in the bucket.
func (b *Broker) RemoveGroup(ctx context.Context, c transport.Channel, group string) error {
	return b.operate(ctx, "remove group", c, func(s jetstream.Stream) error {
		if err := transport.CheckGroup(group); err != nil {
			return err
		}
		if err := b.removeMembers(ctx, c, group); err != nil {
			return err
		}
		for _, name := range consumers(c, group) {
			if err := s.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return err
			}
		}
		return nil
	})
}

// removeMembers tells the receivers of partitions that their group is no more.
func (b *Broker) removeMembers(ctx context.Context, c transport.Channel, group string) error {
	if c.Partitions == 0 {
		return nil
	}
	kv, err := b.js.KeyValue(ctx, b.names.bucket())
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	keys, err := kv.ListKeysFiltered(ctx, memberKey(b.names.stream(c.Address)+"."+consumer(c, group), "*"))
	if err != nil {
		return err
	}
	defer func() { _ = keys.Stop() }() // it has ended
	for key := range keys.Keys() {
		if err := kv.Purge(ctx, key, jetstream.PurgeTTL(markerTTL)); err != nil {
			return err
		}
	}
	return nil
}

// operate does f with the stream of a channel.
func (b *Broker) operate(ctx context.Context, what string, c transport.Channel, f func(jetstream.Stream) error) error {
	if err := b.begin(); err != nil {
		return err
	}
	defer b.users.Done()
	s, err := b.js.Stream(ctx, b.names.stream(c.Address))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = fmt.Errorf("no such channel: %w", transport.ErrNotFound)
	}
	if err == nil {
		err = f(s)
	}
	if err != nil {
		return fmt.Errorf("nats: %s of %s: %w", what, c.Address, err)
	}
	return nil
}
