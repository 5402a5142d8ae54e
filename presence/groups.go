package presence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-io/parley/transport"
)

// registrations is the stream of who subscribes, kept for ever: a group is expected to receive until it is removed.
// One partition, because a removal must be read after what it removes.
func registrations() transport.Channel {
	return transport.Channel{Address: "parley.groups", Pattern: transport.Stream, Partitions: 1}
}

// Registration is a group that is registered as a receiver of an address.
type Registration struct {
	Address string    `json:"address"`
	Group   string    `json:"group"`
	Since   time.Time `json:"since"` // by the broker's clock, or that of who registered it where the broker has none
}

// registration is a record of the stream parley.groups.
type registration struct {
	Format  int    `json:"v"`
	Address string `json:"address"`
	Group   string `json:"group"`
	Removed bool   `json:"removed,omitzero"`
}

// Register makes a group known as a receiver of an address until it is removed. It writes nothing if the group is
// known, and returns when Groups of this process holds it.
func (p *Presence) Register(ctx context.Context, address, group string) error {
	if err := errors.Join(transport.CheckAddress(address), transport.CheckGroup(group)); err != nil {
		return fmt.Errorf("presence: register a group: %w", err)
	}
	if p.subscribers.Load().has(address, group) {
		return nil
	}
	r := registration{Format: format, Address: address, Group: group}
	if _, err := p.record(ctx, registrations(), r, nil); err != nil {
		return fmt.Errorf("presence: register group %s with %s: %w", group, address, err)
	}
	return nil
}

// Remove makes a group unknown as a receiver of an address; a group that is not registered is an error that wraps
// [transport.ErrNotFound]. What waits for the group at the broker is the business of [transport.Operator].
func (p *Presence) Remove(ctx context.Context, address, group string) error {
	known := p.subscribers.Load()
	switch {
	case !known.complete:
		return fmt.Errorf("presence: remove group %s of %s: %w", group, address, p.Err())
	case !known.has(address, group):
		return fmt.Errorf("presence: remove group %s of %s: %w", group, address, transport.ErrNotFound)
	}
	r := registration{Format: format, Address: address, Group: group, Removed: true}
	if _, err := p.record(ctx, registrations(), r, nil); err != nil {
		return fmt.Errorf("presence: remove group %s of %s: %w", group, address, err)
	}
	return nil
}

// Groups are the groups registered with an address, sorted. ok is false when registrations may have been missed: this
// process cannot read them any more.
func (p *Presence) Groups(address string) (groups []string, ok bool) {
	known := p.subscribers.Load()
	return slices.Clone(known.groups[address]), known.complete
}

// Registrations are all registered groups, sorted by address and group.
func (p *Presence) Registrations() []Registration { return slices.Clone(p.subscribers.Load().all) }

// readRegistrations keeps the registry until ctx is done.
func (p *Presence) readRegistrations(ctx context.Context) {
	route := transport.Route{Channel: registrations(), From: transport.Position{Start: true}}
	p.fail(ending(registrations(), p.broker.Receive(ctx, route, p.takeRegistration)))
}

func (p *Presence) takeRegistration(d *transport.Delivery) {
	defer d.Settle(transport.Done)
	r, err := read[registration](d.Envelope.Body)
	if errors.Is(err, errNewer) { // it may have changed who is expected, and this process cannot say how
		p.fail(fmt.Errorf("presence: read %s: %w", registrations().Address, err))
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// What is no registration at all was written by somebody else and changes nothing.
	if err == nil && p.groups.note(r, accepted(d)) && p.known && p.failure == nil {
		p.subscribers.Store(p.groups.view())
		p.change()
	}
	p.cameBack(d)
}

// registry is when each group of an address was registered: by address, then group.
type registry map[string]map[string]time.Time

// note applies a record that was accepted at t. Records may come twice.
func (g registry) note(r registration, t time.Time) (changed bool) {
	_, known := g[r.Address][r.Group]
	if r.Removed {
		delete(g[r.Address], r.Group)
		return known
	}
	if known {
		return false
	}
	if g[r.Address] == nil {
		g[r.Address] = make(map[string]time.Time)
	}
	g[r.Address][r.Group] = t
	return true
}

// subscribers is a registry as it is asked for. It is not changed after it was made.
type subscribers struct {
	complete bool
	groups   map[string][]string // by address, sorted
	all      []Registration      // by address and group
}

func (g registry) view() *subscribers {
	v := &subscribers{complete: true, groups: make(map[string][]string)}
	for address, groups := range g {
		for group, since := range groups {
			v.all = append(v.all, Registration{Address: address, Group: group, Since: since})
		}
	}
	slices.SortFunc(v.all, func(a, b Registration) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Group, b.Group))
	})
	for _, r := range v.all {
		v.groups[r.Address] = append(v.groups[r.Address], r.Group)
	}
	return v
}

func (s *subscribers) has(address, group string) bool {
	_, found := slices.BinarySearch(s.groups[address], group)
	return found
}
