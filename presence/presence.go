package presence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

var _ parley.Directory = (*Presence)(nil)

// Presence is what one process knows of the others, and what it tells them. Safe for concurrent use.
type Presence struct {
	broker  transport.Broker
	source  string
	sending chan struct{} // held by whoever sends, so that a goodbye is stored after what it ends

	stop  context.CancelFunc
	over  chan struct{} // closed when nothing new will be known; failure says why
	ended chan struct{} // closed when all goroutines have ended

	mu      sync.Mutex
	own     map[name]parley.Instance // what this process announces
	roster  roster
	groups  registry
	known   bool                     // groups holds what was there when this process joined
	awaited map[string]chan struct{} // by message ID: closed when this process has read that message
	changed chan struct{}            // closed at the next change
	failure error

	// What calls and messages ask for, made anew at each change.
	people      atomic.Pointer[people]
	subscribers atomic.Pointer[subscribers]
}

// Options of [Join]; the zero value is useful.
type Options struct {
	Source string // the sender that the records of this process name; "" = "parley"
}

// Join declares the streams of presence and reads them. It returns when everything that was there as it began is
// known, or an error when ctx is done before. b needs Streams and must outlive the Presence.
func Join(ctx context.Context, b transport.Broker, o Options) (*Presence, error) {
	if !b.Features().Streams {
		return nil, errors.New("presence: this broker has no streams; want one whose messages can be read again")
	}
	if err := delivery.Declare(ctx, b, []transport.Channel{announcements(), registrations()}); err != nil {
		return nil, fmt.Errorf("presence: declare %s and %s: %w", announcements().Address, registrations().Address, err)
	}
	if o.Source == "" {
		o.Source = "parley"
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	p := &Presence{
		broker: b, source: o.Source, sending: make(chan struct{}, 1),
		stop: stop, over: make(chan struct{}), ended: make(chan struct{}),
		own: make(map[name]parley.Instance), roster: roster{seen: make(map[name]*sighting)}, groups: make(registry),
		awaited: make(map[string]chan struct{}), changed: make(chan struct{}),
	}
	p.people.Store(&people{})
	p.subscribers.Store(&subscribers{})
	var running sync.WaitGroup
	running.Go(func() { p.readAnnouncements(life) })
	from, err := p.catchUp(ctx)
	if err == nil {
		running.Go(func() { p.readRegistrations(life, from) })
		running.Go(func() { p.beat(life) })
	} else {
		stop()
	}
	go func() { // ends with the others, and Close waits for it
		running.Wait()
		close(p.ended)
	}()
	if err != nil {
		<-p.ended
		return nil, fmt.Errorf("presence: learn who is there: %w", err)
	}
	return p, nil
}

// Changed is closed at the next change of what the other methods answer. Ask for it first, look second, wait third.
// It is closed for good when nothing new will be known, as [Presence.Err] then says.
func (p *Presence) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Err is why nothing new will be known: the broker or this Presence was closed, or records cannot be read. nil = all
// is well, also while the broker is away.
func (p *Presence) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

// Close says goodbye for the instances that have not left, and ends everything, until ctx is done. The broker stays
// open. Closing twice is fine.
func (p *Presence) Close(ctx context.Context) error {
	err := p.leaveAll(ctx)
	p.fail(transport.ErrClosed)
	p.stop()
	select {
	case <-p.ended:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("presence: close: readers still run: %w", ctx.Err()))
	}
}

// catchUp returns when this process knows what was there as it began, and the position from which the registrations
// are to be read on. A marker of its own comes back behind all announcements. The stream of the registrations is
// kept for ever and gets no such litter: it is read up to the time at which the broker accepted the marker.
func (p *Presence) catchUp(ctx context.Context) (transport.Position, error) {
	if err := p.record(ctx, announcements(), announcement{Format: format, Kind: tick}, nil); err != nil {
		return transport.Position{}, err
	}
	p.mu.Lock()
	now := p.roster.newest
	p.mu.Unlock()
	route := transport.Route{
		Channel: registrations(),
		From:    transport.Position{Start: true},
		Until:   transport.Position{Time: now.Add(1)}, // with what was accepted at that very nanosecond
	}
	if err := p.broker.Receive(ctx, route, p.takeRegistration); err != nil {
		return transport.Position{}, err
	}
	if err := ctx.Err(); err != nil {
		return transport.Position{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return transport.Position{}, p.failure
	}
	p.known = true
	p.subscribers.Store(p.groups.view())
	return transport.Position{Time: now}, nil // the same nanosecond again: one may have come meanwhile
}

// fail notes that nothing new will be known. Only the first reason counts.
func (p *Presence) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return
	}
	p.failure = err
	p.subscribers.Store(&subscribers{})
	close(p.over)
	close(p.changed)
}

// change wakes those who wait for a change; p.mu is held.
func (p *Presence) change() {
	if p.failure == nil {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}
