package presence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/transport"
)

// announcements is the stream of who is there. One partition, because a goodbye must be read after what it ends.
func announcements() transport.Channel {
	return transport.Channel{Address: "parley.presence", Pattern: transport.Stream, Partitions: 1, Retain: keep}
}

// announcement is a record of the stream parley.presence.
type announcement struct {
	Format   int             `json:"v"`
	Kind     kind            `json:"kind"`
	Process  string          `json:"process"`           // who says it: unique for each Presence
	Instance parley.Instance `json:"instance,omitzero"` // of here and goodbye
}

// kind is what an announcement says.
type kind string

const (
	here    kind = "here"    // an instance is there, or still is
	goodbye kind = "goodbye" // it has left
	tick    kind = "tick"    // a process without instances is there; it makes time pass for who has died
)

func (p *Presence) say(k kind, i parley.Instance) announcement {
	return announcement{Format: format, Kind: k, Process: p.process, Instance: i}
}

// Announce makes an instance known until leave is called: at once, and then again every two seconds, whatever becomes
// of the broker meanwhile. It returns when the first announcement was stored and has come back to this process, so
// that Instances holds it, or with an error when ctx is done before that. leave may be called twice.
func (p *Presence) Announce(ctx context.Context, i parley.Instance) (leave func(context.Context) error, err error) {
	var errs []error
	if err := transport.CheckGroup(i.Service); err != nil {
		errs = append(errs, fmt.Errorf("service: %w", err))
	}
	if i.ID == "" {
		errs = append(errs, errors.New("id: want one that no other instance has"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("presence: announce an instance: %w", err)
	}
	i.Answers, i.Receives = slices.Clone(i.Answers), slices.Clone(i.Receives)
	_, err = p.record(ctx, announcements(), p.say(here, i), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.own[nameOf(i)] = i
	})
	if err != nil {
		// It may be stored already, and others would call who is not there.
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if gone := p.leave(bye, nameOf(i)); gone != nil {
			err = errors.Join(err, gone)
		}
		return nil, fmt.Errorf("presence: announce %s %s: %w", i.Service, i.ID, err)
	}
	return func(ctx context.Context) error { return p.leave(ctx, nameOf(i)) }, nil
}

// Instances are those that are alive as far as this process knows, by service and id. An instance is there until its
// goodbye, or until others were heard for six seconds and it was not. While the broker is away nobody vanishes.
func (p *Presence) Instances() []parley.Instance { return slices.Clone(p.people.Load().instances) }

// Peers are the peers of the instances that answer calls to an address.
func (p *Presence) Peers(address string) []string {
	return slices.Clone(p.people.Load().peers[address])
}

// leave stops announcing an instance and says goodbye for it.
func (p *Presence) leave(ctx context.Context, n name) error {
	if !p.disown(n) {
		return nil
	}
	last := p.say(goodbye, parley.Instance{Service: n.service, ID: n.id})
	if _, err := p.record(ctx, announcements(), last, nil); err != nil {
		return fmt.Errorf("presence: say goodbye for %s %s (it is forgotten in %v): %w", n.service, n.id, gone, err)
	}
	return nil
}

// disown stops announcing an instance.
func (p *Presence) disown(n name) (announced bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, announced = p.own[n]
	delete(p.own, n)
	return announced
}

// leaveAll says goodbye for everything that this process announces. It waits no longer than a heartbeat for a broker
// that is away: those who are not told find out by themselves.
func (p *Presence) leaveAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	p.mu.Lock()
	var names []name
	for n := range p.own {
		names = append(names, n)
	}
	p.mu.Unlock()
	var errs []error
	for _, n := range names {
		errs = append(errs, p.leave(ctx, n))
	}
	return errors.Join(errs...)
}

// beat repeats what this process announces until ctx is done. What is not stored now is said again by the next beat.
func (p *Presence) beat(ctx context.Context) {
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.announceAll(ctx)
		}
	}
}

// announceAll sends one announcement of each instance of this process, or a tick.
func (p *Presence) announceAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	_ = p.alone(ctx, func() error {
		p.mu.Lock()
		said := make([]announcement, 0, len(p.own)+1)
		for _, i := range p.own {
			said = append(said, p.say(here, i))
		}
		p.mu.Unlock()
		if len(said) == 0 {
			said = append(said, p.say(tick, parley.Instance{}))
		}
		batch := make([]*transport.Envelope, 0, len(said))
		for _, a := range said {
			e, err := p.envelope(announcements(), a)
			if err != nil {
				return err // not possible: the first announcement was encoded
			}
			batch = append(batch, e)
		}
		p.broker.Send(ctx, batch)
		return nil
	})
}

// readAnnouncements keeps the roster until ctx is done.
func (p *Presence) readAnnouncements(ctx context.Context) {
	route := transport.Route{Channel: announcements(), From: transport.Position{Start: true}}
	p.fail(ending(announcements(), p.broker.Receive(ctx, route, p.takeAnnouncement)))
}

func (p *Presence) takeAnnouncement(d *transport.Delivery) {
	defer d.Settle(transport.Done)
	a, err := read[announcement](d.Envelope.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil { // it is no announcement, or one of a newer format, which is of no use in a minute
		return
	}
	changed := p.roster.advance(a.Process, d.Envelope.Time)
	switch a.Kind {
	case here:
		changed = p.roster.see(a.Instance, d.Envelope.Body) || changed
	case goodbye:
		changed = p.roster.miss(nameOf(a.Instance)) || changed
	}
	if changed {
		p.people.Store(p.roster.view())
		p.change()
	}
	p.cameBack(d)
}
