package nats

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// run keeps the lease until the Broker is closed, and puts an end to those of others that are not kept.
func (o *owners) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	reconnected := o.b.reconnection()
	for {
		o.renew(ctx)
		o.settle(ctx)
		select {
		case <-o.b.stop:
			o.resign(ctx)
			return
		case <-reconnected:
			reconnected = o.b.reconnection()
		case <-o.wake:
		case <-tick.C:
		}
	}
}

// renew writes the lease again, or begins another one if it was taken away.
func (o *owners) renew(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	l := o.current()
	if l == nil {
		l = o.begun()
	}
	lapsed, sent := !l.valid(), time.Now()
	revision, err := o.kv.Update(ctx, leaseKey(l.id), []byte(o.b.options.Name), l.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		o.compare(ctx, l)
	}
	if err == nil {
		l.confirm(sent, revision)
	}
	if o.current() == nil { // nobody lives by it yet
		if err == nil {
			o.started = nil
			o.replace(l)
		} else {
			o.replace(nil) // lets others look why
		}
		return
	}
	if !lapsed && l.valid() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kickAll()
	if err == nil { // we heard nothing for a while: others may live and have had the same trouble
		for _, s := range o.signs {
			s.heard = time.Now()
		}
	}
}

// begun is a lease to begin with. One of which it is not known whether it was stored is tried again, so that a slow server
// does not fill up with leases: as long as a removed one is remembered, because one that was removed stays so.
func (o *owners) begun() *lease {
	if o.started == nil || elapsed(o.started.born) > markerTTL/2 {
		o.started = &lease{id: nuid.Next(), born: time.Now()}
	}
	return o.started
}

// compare looks why a lease has another revision than ours.
func (o *owners) compare(ctx context.Context, l *lease) {
	e, err := o.kv.Get(ctx, leaseKey(l.id))
	switch {
	case err == nil: // a renewal was stored whose confirmation was lost
		l.revision = e.Revision()
		o.kick()
	case errors.Is(err, jetstream.ErrKeyNotFound): // somebody has taken it away, and may have our partitions
		l.end()
		o.started = nil
		o.replace(nil)
		o.kick()
	}
}

func (o *owners) current() *lease {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lease
}

func (o *owners) replace(l *lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lease, o.joined = l, false
	o.kickAll()
}

func (o *owners) kick() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// settle does what others have left undone, and what this Broker could not do yet.
func (o *owners) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keeperWait)
	defer cancel()
	o.mu.Lock()
	owed := o.owed
	o.owed = nil
	dead := o.silent()
	o.prune()
	o.mu.Unlock()
	for _, pay := range owed {
		if pay(ctx) != nil {
			o.owe(pay)
		}
	}
	for key, revision := range dead {
		if revision == 0 { // it may live where it was not heard: only one of us can write the key now
			if revision, _ = o.kv.Create(ctx, key, nil); revision == 0 {
				continue
			}
		}
		_ = o.remove(ctx, key, revision) // of another revision: it lives, or somebody was faster
	}
}

// silent are the keys of the dead: leases that were not renewed for [LeaseTTL], and members whose lease is gone. o.mu is
// held.
func (o *owners) silent() map[string]uint64 {
	dead := make(map[string]uint64)
	if !o.joined || o.closing() {
		return dead
	}
	for id, s := range o.signs {
		if !s.gone && id != o.lease.id && time.Since(s.heard) >= LeaseTTL {
			dead[leaseKey(id)] = s.revision
		}
	}
	for group, c := range o.crowds {
		for member, revision := range c.members {
			if o.sign(leaseOf(member)).gone {
				dead[memberKey(group, member)] = revision
			}
		}
	}
	return dead
}

// prune forgets leases that are gone and that nobody is known by. o.mu is held.
func (o *owners) prune() {
	named := make(map[string]bool)
	if o.lease != nil {
		named[o.lease.id] = true
	}
	for _, c := range o.crowds {
		for member := range c.members {
			named[leaseOf(member)] = true
		}
		for _, k := range c.claims {
			named[leaseOf(k.holder)] = true
		}
	}
	maps.DeleteFunc(o.signs, func(id string, s *sign) bool { return s.gone && !named[id] })
}

func (o *owners) closing() bool { return closed(o.b.closing) }

// owe lets the keeper try something until it succeeds.
func (o *owners) owe(pay func(context.Context) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owed = append(o.owed, pay)
}

// remove removes a key if it still has a revision. That it has not, or is not there, is no error.
func (o *owners) remove(ctx context.Context, key string, revision uint64) error {
	err := o.kv.Purge(ctx, key, jetstream.LastRevision(revision), jetstream.PurgeTTL(markerTTL))
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return nil
	}
	return err
}

// withdraw removes a key whatever its revision.
func (o *owners) withdraw(ctx context.Context, key string) error {
	e, err := o.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return o.remove(ctx, key, e.Revision())
}

// release lets go of an ownership key that still has a revision.
func (o *owners) release(key string, revision uint64) {
	o.soon(func(ctx context.Context) error {
		_, err := o.kv.Update(ctx, key, []byte(free), revision)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return nil
		}
		return err
	})
}

// disown lets go of an ownership key if it names a member that may have claimed it without knowing.
func (o *owners) disown(ctx context.Context, key, member string) error {
	e, err := o.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) || err == nil && string(e.Value()) != member {
		return nil
	}
	if err == nil {
		_, err = o.kv.Update(ctx, key, []byte(free), e.Revision())
	}
	return err
}

// soon does something now, or as soon as it can be done.
func (o *owners) soon(do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), keeperWait)
	defer cancel()
	if do(ctx) != nil {
		o.owe(do)
	}
}

// resign pays what is owed and ends the lease, so that nobody has to wait for its end.
func (o *owners) resign(ctx context.Context) {
	if closed(o.b.dead) || !o.b.nc.IsConnected() {
		return
	}
	o.settle(ctx)
	if l := o.current(); l != nil {
		ctx, cancel := context.WithTimeout(ctx, keeperWait)
		defer cancel()
		_ = o.remove(ctx, leaseKey(l.id), l.revision) // else it lapses
	}
}
