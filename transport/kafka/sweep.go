package kafka

import (
	"context"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/parley-io/parley/transport"
)

// sweepEvery is how often what all groups have handled is deleted.
const sweepEvery = 30 * time.Second

// keepSweeping deletes what is handled until the Broker is closed. It does so from every process that has declared a
// channel; each does no more than what the committed places allow.
func (b *Broker) keepSweeping() {
	ctx, cancel := b.until(context.Background())
	defer cancel()
	for {
		select {
		case <-time.After(jitter(2 * sweepEvery)):
		case <-ctx.Done():
			return
		}
		try, stop := context.WithTimeout(ctx, answerLimit)
		_ = b.sweep(try) // what is not deleted now is the next time
		stop()
	}
}

// sweep deletes from Queues and Topics what every group has handled. What a Topic has without groups is for nobody. The
// order of the questions matters: a group that is not registered yet when they are asked begins behind the ends.
func (b *Broker) sweep(ctx context.Context) error {
	var channels []transport.Channel
	var topics []string
	b.mu.Lock()
	for _, c := range b.channels {
		if c.Pattern != transport.Stream {
			channels = append(channels, c)
			topics = append(topics, b.names.topic(c.Address))
		}
	}
	b.mu.Unlock()
	if len(channels) == 0 {
		return nil
	}
	ends, err := b.admin.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	groups, err := b.registry.of(ctx, channels)
	if err != nil {
		return err
	}
	starts, err := b.admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	var handled kadm.Offsets
	for _, c := range channels {
		topic := b.names.topic(c.Address)
		upTo, err := b.handled(ctx, c, groups[c.Address])
		if err != nil {
			return err
		}
		for p := range int32(partitions(c)) {
			start, _ := starts.Lookup(topic, p)
			end, ok := ends.Lookup(topic, p)
			if to := min(end.Offset, upTo(p)); ok && end.Err == nil && start.Err == nil && to > start.Offset {
				handled.AddOffset(topic, p, to, -1)
			}
		}
	}
	if len(handled) == 0 {
		return nil
	}
	_, err = b.admin.DeleteRecords(ctx, handled)
	return err
}

// handled says how far all groups of a channel have come in each partition.
func (b *Broker) handled(ctx context.Context, c transport.Channel, groups []string) (func(partition int32) int64, error) {
	if c.Pattern == transport.Queue {
		groups = []string{""}
	}
	var all []map[int32]int64
	for _, g := range groups {
		placed, err := b.places(ctx, b.names.group(c, g), b.names.topic(c.Address))
		if err != nil {
			return nil, err
		}
		all = append(all, placed)
	}
	return func(p int32) int64 {
		to := int64(math.MaxInt64)
		for _, placed := range all {
			to = min(to, placed[p]) // nothing where it has no place
		}
		return to
	}, nil
}
