package presence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/parley-io/parley"
	"github.com/parley-io/parley/delivery"
	"github.com/parley-io/parley/transport"
)

var _ parley.Directory = (*Presence)(nil)

// Presence is what one process knows of the others, and what it tells them. Safe for concurrent use.
type Presence struct {
	broker  transport.Broker
	source  string
	process string        // unique
	sending chan struct{} // held by whoever sends, so that a goodbye is stored after what it ends

	stop  context.CancelFunc
	over  chan struct{} // closed when nothing new will be known; failure says why
	ended chan struct{} // closed when all goroutines have ended

	mu      sync.Mutex
	own     map[name]parley.Instance // what this process announces
	roster  roster
	groups  registry
	known   bool                      // groups holds what was there when this process joined
	awaited map[string]chan time.Time // by message ID, capacity 1: gets when it was accepted, once this process has read it
	changed chan struct{}             // closed at the next change
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
		broker: b, source: o.Source, process: uuid.NewString(), sending: make(chan struct{}, 1),
		stop: stop, over: make(chan struct{}), ended: make(chan struct{}),
		own: make(map[name]parley.Instance), roster: newRoster(), groups: make(registry),
		awaited: make(map[string]chan time.Time), changed: make(chan struct{}),
	}
	p.people.Store(&people{})
	p.subscribers.Store(&subscribers{})
	var running sync.WaitGroup
	running.Go(func() { p.readAnnouncements(life) })
	err := p.catchUp(ctx, func() { running.Go(func() { p.readRegistrations(life) }) })
	if err == nil {
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

// catchUp returns when this process knows what was there as it began. A marker of its own comes back behind all
// announcements. The stream of the registrations is kept for ever and gets no such litter: what is the last one there is
// looked up first, and then begin begins to read them for good.
func (p *Presence) catchUp(ctx context.Context, begin func()) error {
	now, err := p.record(ctx, announcements(), p.say(tick, parley.Instance{}), nil)
	if err != nil {
		return err
	}
	last, err := Last(ctx, p.broker, registrations(), now)
	if err != nil {
		return err
	}
	back := p.await(last)
	defer p.forget(last)
	begin()
	if last != "" {
		if _, err := p.readBack(ctx, registrations(), back); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return p.failure
	}
	p.known = true
	p.subscribers.Store(p.groups.view())
	return nil
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
