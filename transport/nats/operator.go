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
		after := uint64(0)
		g, err := s.Consumer(ctx, consumer(c, group))
		switch {
		case err == nil:
			i := g.CachedInfo()
			waiting, after = int64(i.NumPending)+int64(i.NumAckPending), i.AckFloor.Stream
		case !errors.Is(err, jetstream.ErrConsumerNotFound):
			return err
		case c.Pattern != transport.Queue:
			return fmt.Errorf("group %q: %w", group, transport.ErrNotFound)
		default: // no receiver has ever been there
			waiting = int64(s.CachedInfo().State.Msgs)
		}
		if waiting > 0 {
			oldest, err = oldestAfter(ctx, s, after, b.names.filters(c, group))
		}
		return err
	})
	return waiting, oldest, err
}

// oldestAfter is when the first message behind a sequence was stored.
func oldestAfter(ctx context.Context, s jetstream.Stream, sequence uint64, filters []string) (oldest time.Time, err error) {
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
// [transport.ErrNotFound]. The one group of a Queue cannot be removed.
func (b *Broker) RemoveGroup(ctx context.Context, c transport.Channel, group string) error {
	return b.operate(ctx, "remove group", c, func(s jetstream.Stream) error {
		if err := transport.CheckGroup(group); err != nil {
			return err
		}
		err := s.DeleteConsumer(ctx, group)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil
		}
		return err
	})
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
