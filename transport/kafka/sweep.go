package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

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
		_ = b.sweep(ctx) // what is not deleted now is the next time
	}
}

// sweep deletes from Queues and Topics what every group has handled, also one that is not Parley's. What a Topic has
// without groups is for nobody. The order of the questions matters: a group that is not registered yet when they are
// asked begins behind the ends.
func (b *Broker) sweep(ctx context.Context) error {
	var channels []transport.Channel
	b.mu.Lock()
	for _, c := range b.channels {
		if c.Pattern != transport.Stream {
			channels = append(channels, c)
		}
	}
	b.mu.Unlock()
	if len(channels) == 0 {
		return nil
	}
	ends := make(map[string]map[int32]int64)
	var errs []error
	fail := func(c transport.Channel, err error) { errs = append(errs, fmt.Errorf("sweep %s: %w", c.Address, err)) }
	for _, c := range channels {
		end, err := b.stable(ctx, c)
		if err != nil { // it was deleted, or its leader is away: that must not stop the others
			fail(c, err)
			continue
		}
		ends[c.Address] = end
	}
	registered, placed, err := b.groups(ctx, channels)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("sweep: %w", err))...)
	}
	for _, c := range channels {
		if end, ok := ends[c.Address]; ok {
			if err := b.discard(ctx, c, handled(b.names, c, registered[c.Address], placed, end)); err != nil {
				fail(c, err)
			}
		}
	}
	return errors.Join(errs...)
}

// stable are the ends of a channel's partitions.
func (b *Broker) stable(ctx context.Context, c transport.Channel) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	topic := b.names.topic(c.Address)
	return listed(c, topic)(b.admin.ListCommittedOffsets(ctx, topic))
}

// discard deletes what is before upTo.
func (b *Broker) discard(ctx context.Context, c transport.Channel, upTo map[int32]int64) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	topic := b.names.topic(c.Address)
	starts, err := listed(c, topic)(b.admin.ListStartOffsets(ctx, topic))
	if err != nil {
		return err
	}
	var handled kadm.Offsets
	for p, to := range upTo {
		if to > starts[p] {
			handled.AddOffset(topic, p, to, -1)
		}
	}
	if len(handled) == 0 {
		return nil
	}
	answer, err := b.admin.DeleteRecords(ctx, handled)
	if err == nil {
		err = answer.Error()
	}
	return err
}

// groups are those that are registered for channels, by address, and the places of all consumer groups of the cluster
// that we may know of, by name.
func (b *Broker) groups(ctx context.Context, channels []transport.Channel) (map[string][]string, kadm.FetchOffsetsResponses, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	registered, err := b.registry.of(ctx, channels)
	if err != nil {
		return nil, nil, err
	}
	all, err := b.admin.ListGroups(ctx)
	if err != nil {
		return nil, nil, err
	}
	placed := b.admin.FetchManyOffsets(ctx, all.Groups()...)
	for name, g := range placed {
		switch {
		case errors.Is(g.Err, kerr.GroupIDNotFound): // it was removed meanwhile
			delete(placed, name)
		case g.Err != nil:
			return nil, nil, fmt.Errorf("places of group %s: %w", name, g.Err)
		}
		for _, partitions := range g.Fetched {
			for p, o := range partitions {
				o.At = b.come(o.Offset)
				partitions[p] = o
			}
		}
	}
	return registered, placed, nil
}

// handled says how far every group has come in each partition of a channel: those that are registered, which have
// handled nothing where they have no place, and all others that have one.
func handled(n names, c transport.Channel, registered []string, placed kadm.FetchOffsetsResponses, ends map[int32]int64) map[int32]int64 {
	if c.Pattern == transport.Queue {
		registered = []string{""}
	}
	upTo := make(map[int32]int64)
	for p, end := range ends {
		for _, g := range registered {
			if o, ok := placed[n.group(c, g)].Fetched.Lookup(n.topic(c.Address), p); !ok || o.At < 0 {
				end = 0
			}
		}
		for _, g := range placed {
			if o, ok := g.Fetched.Lookup(n.topic(c.Address), p); ok && (o.At >= 0 || o.Err != nil) {
				end = min(end, max(o.At, 0)) // nothing is deleted while a place is not known
			}
		}
		upTo[p] = end
	}
	return upTo
}
