package nats

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/parley-io/parley/transport"
)

// audience knows the groups of each declared channel, from the server's advisories. They come on the connection, and
// through the channel, that confirmations come through, so that a confirmation finds here what was true when the
// message was stored.
type audience struct {
	b *Broker

	mu      sync.Mutex
	streams map[string]*groups
}

// groups are the consumers of a stream that are groups.
type groups struct {
	names    map[string]map[string]bool // by partition, "" on an unordered channel
	learning int                        // lists that are on their way
	since    []change
}

// change is an advisory that came while a list was on its way.
type change struct {
	name  string
	there bool
}

const (
	createdAdvisory = "$JS.EVENT.ADVISORY.CONSUMER.CREATED."
	deletedAdvisory = "$JS.EVENT.ADVISORY.CONSUMER.DELETED."
)

func newAudience(b *Broker) *audience {
	return &audience{b: b, streams: make(map[string]*groups)}
}

// heard takes an advisory by its subject, and reports whether it was one.
func (a *audience) heard(subject string) bool {
	rest, there := strings.CutPrefix(subject, createdAdvisory)
	if !there {
		var gone bool
		if rest, gone = strings.CutPrefix(subject, deletedAdvisory); !gone {
			return false
		}
	}
	stream, name, _ := strings.Cut(rest, ".")
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.streams[stream]; g != nil {
		g.apply(change{name, there})
		if g.learning > 0 {
			g.since = append(g.since, change{name, there})
		}
	}
	return true
}

// learn asks the server which groups a stream has.
func (a *audience) learn(ctx context.Context, stream string) error {
	a.mu.Lock()
	g := a.streams[stream]
	if g == nil {
		g = &groups{names: make(map[string]map[string]bool)}
		a.streams[stream] = g
	}
	g.learning++
	a.mu.Unlock()
	names, err := a.b.consumers(ctx, stream)
	a.mu.Lock()
	defer a.mu.Unlock()
	g.learning--
	if err == nil {
		clear(g.names)
		for _, name := range names {
			g.apply(change{name, true})
		}
		for _, c := range g.since { // what the list has already does no harm
			g.apply(c)
		}
	}
	if g.learning == 0 {
		g.since = nil
	}
	return err
}

// count is how many groups a message to a partition of a stream goes to, to "" = all of them; partition "" = it has none.
func (a *audience) count(stream, partition, to string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.streams[stream]
	switch {
	case g == nil:
		return -1
	case to == "":
		return len(g.names[partition])
	case g.names[partition][to]:
		return 1
	}
	return 0
}

func (g *groups) apply(c change) {
	group, partition, _ := strings.Cut(c.name, "_")
	if transport.CheckGroup(group) != nil { // a reader, the mover, a Queue's own
		return
	}
	if g.names[partition] == nil {
		g.names[partition] = make(map[string]bool)
	}
	if c.there {
		g.names[partition][group] = true
	} else {
		delete(g.names[partition], group)
	}
}

// consumers lists the names of a stream's consumers.
func (b *Broker) consumers(ctx context.Context, stream string) ([]string, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", stream, err)
	}
	var names []string
	list := s.ConsumerNames(ctx)
	for name := range list.Name() {
		names = append(names, name)
	}
	return names, list.Err()
}
