package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/parley-io/parley/transport"
)

// registry is what a cluster does not know of channels and groups: a topic of one partition that is kept for ever and
// only grows when a channel or group is new. What it says about a topic holds for the topic of that very id: one
// that is deleted and made again is another. Of several entries for one topic, the first one counts. A registry that is
// not the one that was read before tells that the cluster has lost everything.
type registry struct {
	b    *Broker
	turn chan struct{} // capacity 1: who reads

	// Only for who has the turn.
	client *kgo.Client
	id     kadm.TopicID
	next   int64
	forms  map[string]transport.Channel // by topic id
	groups map[string]bool              // by address and name
}

// registration is an entry, as JSON.
type registration struct {
	Format      int    `json:"format"` // 1
	Topic       string `json:"topic,omitzero"`
	Address     string `json:"address"`
	Pattern     string `json:"pattern,omitzero"`
	Partitions  int    `json:"partitions,omitzero"`
	Retain      int64  `json:"retain_ns,omitzero"`
	RetainBytes int64  `json:"retain_bytes,omitzero"`
	Group       string `json:"group,omitzero"`
	Removed     bool   `json:"removed,omitzero"`
}

func entryOfChannel(id kadm.TopicID, c transport.Channel) registration {
	return registration{
		Format: 1, Topic: id.String(), Address: c.Address, Pattern: c.Pattern.String(), Partitions: c.Partitions,
		Retain: int64(c.Retain), RetainBytes: c.RetainBytes,
	}
}

func entryOfGroup(address, group string) registration {
	return registration{Format: 1, Address: address, Group: group}
}

func newRegistry(b *Broker) *registry {
	return &registry{b: b, turn: make(chan struct{}, 1)}
}

// form is what a topic was made as; ok is false if nobody has said it.
func (g *registry) form(ctx context.Context, id kadm.TopicID) (c transport.Channel, ok bool, err error) {
	err = g.read(ctx, func() { c, ok = g.forms[id.String()] })
	return c, ok, err
}

// has reports whether a group is registered.
func (g *registry) has(ctx context.Context, address, group string) (known bool, err error) {
	err = g.read(ctx, func() { known = g.groups[address+" "+group] })
	return known, err
}

// of are the groups of several channels, by address.
func (g *registry) of(ctx context.Context, channels []transport.Channel) (groups map[string][]string, err error) {
	groups = make(map[string][]string)
	err = g.read(ctx, func() {
		for name := range g.groups {
			for _, c := range channels {
				if len(name) > len(c.Address) && name[:len(c.Address)+1] == c.Address+" " {
					groups[c.Address] = append(groups[c.Address], name[len(c.Address)+1:])
				}
			}
		}
	})
	return groups, err
}

// add writes an entry.
func (g *registry) add(ctx context.Context, e registration) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r := &kgo.Record{Topic: g.b.names.registry(), Key: []byte(e.Address), Value: text}
	by := g.b.producer.now()
	if err := by.ProduceSync(ctx, r).FirstErr(); err != nil {
		if deleted(err) {
			g.b.supersede(by)
		}
		return fmt.Errorf("write to %s: %w", r.Topic, err)
	}
	return nil
}

// read does f with everything that was written before.
func (g *registry) read(ctx context.Context, f func()) error {
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := g.catchUp(ctx); err != nil {
		return fmt.Errorf("read %s: %w", g.b.names.registry(), err)
	}
	f()
	return nil
}

func (g *registry) catchUp(ctx context.Context) error {
	topic := g.b.names.registry()
	if err := g.find(ctx, topic); err != nil {
		return err
	}
	ends, err := g.b.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	end, _ := ends.Lookup(topic, 0)
	for g.next < end.Offset {
		fs := g.client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, e := range fs.Errors() {
			if denied(e.Err) || deleted(e.Err) {
				return e.Err
			}
		}
		fs.EachRecord(func(r *kgo.Record) {
			g.next = r.Offset + 1
			g.note(r.Value)
		})
	}
	return nil
}

// find makes sure that what is read is the cluster's registry, and makes one where there is none.
func (g *registry) find(ctx context.Context, topic string) error {
	if g.client != nil {
		all, err := g.b.ask(ctx, topic)
		if err != nil {
			return err
		}
		if t := all[topic]; !deleted(t.Err) && (t.Err != nil || t.ID == g.id) {
			return t.Err
		}
	}
	config := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
	found, err := g.b.make(ctx, topic, 1, config)
	if err != nil {
		return err
	}
	cl, err := g.b.options.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return err
	}
	if g.client != nil {
		g.b.users.Go(g.client.Close)
		g.b.anew()
	}
	g.client, g.id, g.next = cl, found.ID, 0
	g.forms, g.groups = make(map[string]transport.Channel), make(map[string]bool)
	return nil
}

// note takes an entry. One of another format is of a later version, for which this one knows no rule.
func (g *registry) note(text []byte) {
	var e registration
	if json.Unmarshal(text, &e) != nil || e.Format != 1 {
		return
	}
	if e.Group != "" {
		if e.Removed {
			delete(g.groups, e.Address+" "+e.Group)
		} else {
			g.groups[e.Address+" "+e.Group] = true
		}
		return
	}
	if _, known := g.forms[e.Topic]; known {
		return
	}
	c := transport.Channel{Address: e.Address, Partitions: e.Partitions, Retain: time.Duration(e.Retain), RetainBytes: e.RetainBytes}
	for _, p := range []transport.Pattern{transport.Queue, transport.Topic, transport.Stream} {
		if p.String() == e.Pattern {
			c.Pattern = p
		}
	}
	g.forms[e.Topic] = c
}

func (g *registry) close() {
	if g.client != nil {
		g.client.Close()
	}
}
