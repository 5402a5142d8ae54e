package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// A position is "PARTITION:OFFSET", in decimal.
func position(partition int32, offset int64) string {
	p := strconv.AppendInt(make([]byte, 0, 32), int64(partition), 10)
	return string(strconv.AppendInt(append(p, ':'), offset, 10))
}

// parsePosition is the reverse of position.
func parsePosition(s string) (partition int32, offset int64, err error) {
	p, o, ok := strings.Cut(s, ":")
	n, perr := strconv.ParseUint(p, 10, 31)
	offset, oerr := strconv.ParseInt(o, 10, 64)
	if !ok || perr != nil || oerr != nil || offset < 0 || n >= transport.MaxPartitions {
		return 0, 0, fmt.Errorf("position %q: want one from a Receipt or Delivery of this channel", s)
	}
	return int32(n), offset, nil
}

// offsets are the places that p means in each partition of a channel, the end where p is later. With up, a time between
// two milliseconds, which are all that the cluster knows, is the later one.
func (b *Broker) offsets(ctx context.Context, c transport.Channel, p transport.Position, up bool) (map[int32]int64, error) {
	topic := b.names.topic(c.Address)
	switch {
	case p.At != "":
		return b.offsetsAt(ctx, c, p.At, up)
	case !p.Time.IsZero():
		milli := p.Time.UnixMilli()
		if up && p.Time.After(time.UnixMilli(milli)) {
			milli++
		}
		return listed(c, topic)(b.admin.ListOffsetsAfterMilli(ctx, max(milli, 0), topic))
	case p.Start:
		return listed(c, topic)(b.admin.ListStartOffsets(ctx, topic))
	}
	return listed(c, topic)(b.admin.ListEndOffsets(ctx, topic))
}

// spread is how far apart the cluster's times may be of what one Send stores in several partitions.
const spread = time.Second

// offsetsAt are the places that begin with one message: in the partitions beside its own, what was accepted when it
// was, or later; without up, from a spread before that, so that nothing is missed.
func (b *Broker) offsetsAt(ctx context.Context, c transport.Channel, at string, up bool) (map[int32]int64, error) {
	partition, offset, err := parsePosition(at)
	if err == nil && int(partition) >= partitions(c) {
		err = fmt.Errorf("position %q: the channel has %d partitions", at, partitions(c))
	}
	if err != nil {
		return nil, err
	}
	all := map[int32]int64{}
	if partitions(c) > 1 {
		var from transport.Position // the end, if there is no such message yet
		if from.Time, err = b.acceptedAt(ctx, c, partition, offset); err != nil {
			return nil, err
		}
		if !up && !from.Time.IsZero() {
			from.Time = from.Time.Add(-spread)
		}
		if all, err = b.offsets(ctx, c, from, false); err != nil {
			return nil, err
		}
	}
	all[partition] = offset
	return all, nil
}

// acceptedAt is when the message at a place was accepted, or the next one that is kept; zero if there is none.
func (b *Broker) acceptedAt(ctx context.Context, c transport.Channel, partition int32, offset int64) (time.Time, error) {
	topic := b.names.topic(c.Address)
	ends, err := listed(c, topic)(b.admin.ListCommittedOffsets(ctx, topic))
	if err != nil || offset >= ends[partition] {
		return time.Time{}, err
	}
	cl, err := b.options.client(kgo.KeepControlRecords(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {partition: kgo.NewOffset().At(offset)},
	}))
	if err != nil {
		return time.Time{}, err
	}
	defer cl.Close()
	fs := cl.PollRecords(ctx, 1)
	for _, r := range fs.Records() {
		return r.Timestamp, nil
	}
	return time.Time{}, fmt.Errorf("look at position %s: %w", position(partition, offset), fs.Err())
}

// listed reads the cluster's answer, which must have each partition of c.
func listed(c transport.Channel, topic string) func(kadm.ListedOffsets, error) (map[int32]int64, error) {
	return func(l kadm.ListedOffsets, err error) (map[int32]int64, error) {
		if err == nil {
			err = l.Error()
		}
		if err != nil {
			return nil, err
		}
		all := make(map[int32]int64)
		for p := range int32(partitions(c)) {
			o, ok := l.Lookup(topic, p)
			if !ok {
				return nil, fmt.Errorf("topic %s: the cluster does not tell about partition %d", topic, p)
			}
			all[p] = o.Offset
		}
		return all, nil
	}
}
