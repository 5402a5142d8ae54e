package rabbitmq

import "time"

// silence is for how long nothing must come before the server is asked whether that was all. A stream does not tell
// where it ends; but the server reads it in the process that also answers what is asked on the same channel.
const silence = 500 * time.Millisecond

// reach ends the receiver once nothing is left before until, also if no message is there that says so.
func (r *receiver) reach(now time.Time) {
	until := r.route.Until
	if until.IsZero() || r.unsettled > 0 || now.Before(until.Time) {
		return
	}
	if until.Start {
		r.ended = true
		return
	}
	all := true
	for _, l := range r.lanes {
		all = r.exhausted(l, now) && all
	}
	if all {
		r.ended = true
		r.kick()
	}
}

// exhausted reports whether a lane has nothing more before until.
func (r *receiver) exhausted(l *lane, now time.Time) bool {
	t := l.tenure
	switch {
	case l.reached:
		return true
	case t == nil:
		return l.hold != nil && !l.hold.has && now.Sub(l.hold.since) > positionWait // another member reads it
	case len(t.waiting) > 0 || now.Sub(t.came) < silence:
		return false
	case t.asked:
		return true
	}
	if err := t.ch.Qos(t.prefetch, 0, false); err == nil {
		t.came, t.asked = now.Add(-silence).Add(2*firstPause), true // what came before the answer has time to arrive
	}
	return false
}
