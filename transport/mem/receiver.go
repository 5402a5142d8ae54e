package mem

import (
	"context"
	"errors"
	"slices"

	"github.com/parley-io/parley/transport"
)

// receiver is one running Receive.
type receiver struct {
	broker    *Broker
	route     transport.Route
	until     bound
	credit    *transport.Credit
	wake      chan struct{} // of capacity 1: something may have changed
	waiting   bool          // for wake
	group     *group        // nil before it joined
	tenure    tenure
	unsettled int
	leaving   bool  // it takes no more, and ends when nothing is unsettled
	over      bool  // it has ended
	err       error // why, if not as wanted
}

// tenure is the time in which the broker believes a receiver alive.
type tenure struct {
	ended chan struct{}
	valid func() bool
}

func newTenure() tenure {
	ended := make(chan struct{})
	return tenure{ended, func() bool {
		select {
		case <-ended:
			return false
		default:
			return true
		}
	}}
}

// step is what a Receive does next: one of these, or wait for done among others if it is not nil.
type step struct {
	over   bool
	err    error
	joined bool
	flight *flight
	done   <-chan struct{}
}

func (r *receiver) next(ctx context.Context, credit int) step {
	f, p := r.broker.fabric, r.broker.process
	f.mu.Lock()
	defer f.mu.Unlock()
	r.waiting = false
	if r.over {
		return step{over: true, err: r.err}
	}
	stop := ctx.Err() != nil || r.broker.closing
	if !stop && r.group == nil && !f.away {
		if err := r.join(); err != nil {
			r.end(err)
			return step{over: true, err: err}
		}
		return step{joined: true}
	}
	if stop && !r.leaving {
		r.leave()
	}
	if r.leaving && r.unsettled == 0 || r.reached() {
		if r.broker.closing {
			r.err = r.broker.errClosed()
		}
		r.end(r.err)
		return step{over: true, err: r.err}
	}
	if !r.leaving && r.group != nil && !f.away && r.unsettled < credit {
		if flight := r.group.next(r); flight != nil {
			if !p.pass(BeforeTake) {
				return step{over: true, err: r.err}
			}
			return step{flight: flight}
		}
	}
	r.waiting = true
	if r.leaving {
		return step{}
	}
	return step{done: ctx.Done()}
}

// join makes r a member of its group, which is registered if it is new.
func (r *receiver) join() error {
	want := r.route.Channel
	c := r.broker.fabric.channels[want.Address]
	if c == nil {
		return errors.New("no such channel: Declare it first")
	}
	if c.form != want {
		return differs(c.form, want)
	}
	g := c.group(r.route.Group)
	if g == nil {
		var err error
		if g, err = c.register(r.route.Group, r.route.From); err != nil {
			return err
		}
	}
	r.group = g
	r.enter()
	return nil
}

// enter begins a tenure.
func (r *receiver) enter() {
	r.tenure = newTenure()
	r.group.members = append(r.group.members, r)
	r.group.share()
}

// leave takes no more; what is unsettled stays with r.
func (r *receiver) leave() {
	r.leaving = true
	if g := r.group; g != nil {
		g.members = slices.DeleteFunc(g.members, func(m *receiver) bool { return m == r })
		g.share()
	}
}

// expel ends a tenure: what is unsettled goes back to the group.
func (r *receiver) expel() {
	if !r.leaving {
		r.leave()
	}
	if r.group == nil || r.tenure.ended == nil {
		return
	}
	close(r.tenure.ended)
	r.tenure = tenure{}
	for i := len(r.group.flights) - 1; i >= 0; i-- {
		if f := r.group.flights[i]; f.receiver == r {
			r.group.land(f, transport.Return)
		}
	}
}

// end makes Receive return err, once.
func (r *receiver) end(err error) {
	if r.over {
		return
	}
	r.over, r.err = true, err
	r.expel()
	if r.group != nil && r.group.reader() {
		r.group.channel.remove(r.group)
	}
	delete(r.broker.receivers, r)
	r.broker.left()
	r.kick()
}

// reached reports whether everything before route.Until is settled.
func (r *receiver) reached() bool {
	if r.group == nil || !r.until.passed() {
		return false
	}
	for _, l := range r.group.lanes {
		if m := l.head(); m != nil && !r.until.ends(m) {
			return false
		}
	}
	for _, f := range r.group.flights {
		if !r.until.ends(f.message) {
			return false
		}
	}
	return true
}

// kick makes Receive look again.
func (r *receiver) kick() {
	if !r.waiting {
		return
	}
	r.waiting = false
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
