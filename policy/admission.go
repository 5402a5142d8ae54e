package policy

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

const (
	queueShare    = 2                      // a queue may be so many times as long as the limit
	queueStanding = 100 * time.Millisecond // a queue that was never empty for so long is one of overload
	leastTime     = 10 * time.Millisecond  // no request with less than that is begun
)

// AdmissionOptions are the settings of an [Admission]. Each zero value is the default beside it.
type AdmissionOptions struct {
	// Initial is how many requests are handled at once before anything is known, and again after a calm; 0 = 100, or
	// Max. With the queue it lets a healthy burst of 300 pass; where it is too much, it halves as soon as requests run
	// into their deadlines.
	Initial  int
	Min, Max int           // bounds of the adaptive limit; 0 = 4 and 1000
	Wait     time.Duration // longest time in the queue; handlers slower by half of it say that there is no room; 0 = 50 ms
}

// Validate reports everything that is wrong with o in one error.
func (o AdmissionOptions) Validate() error {
	var errs []error
	if o.Initial < 0 || o.Min < 0 || o.Max < 0 || o.Wait < 0 {
		errs = append(errs, errors.New("admission: want no negative option"))
	}
	if d := o.withDefaults(); d.Min > d.Initial || d.Initial > d.Max {
		errs = append(errs, fmt.Errorf("admission: limits %d to %d from %d: want Min <= Initial <= Max", d.Min, d.Max, d.Initial))
	}
	return errors.Join(errs...)
}

func (o AdmissionOptions) withDefaults() AdmissionOptions {
	o.Max = or(o.Max, 1000)
	o.Initial = or(o.Initial, min(100, o.Max))
	o.Min = or(o.Min, min(4, o.Initial))
	o.Wait = or(o.Wait, 50*time.Millisecond)
	return o
}

// Answer handles one request, as in [transport.Endpoint].
type Answer = func(context.Context, *transport.Envelope) (*transport.Envelope, error)

// Admission keeps a service from taking more requests than it can answer in time: an adaptive limit of those that
// run, a short queue before it, and a refusal for the rest, which costs nearly nothing. One belongs to one service and
// stands around all its handlers, except those that wait on purpose, as a long poll does. Safe for concurrent use.
type Admission struct {
	o AdmissionOptions

	mu       sync.Mutex
	limit    limit
	inFlight int
	queue    list.List // of *waiter, oldest first
	standing time.Time // since when the queue is not empty
	refused  uint64
}

// NewAdmission returns an Admission; o must be valid, see [AdmissionOptions.Validate].
func NewAdmission(o AdmissionOptions) *Admission {
	o = o.withDefaults()
	return &Admission{o: o, limit: newLimit(o, time.Now())}
}

// Wrap returns answer behind the admission. A request that is not admitted gets an [*transport.Error] with NotSent:
// Unavailable with RetryAfter, 1 to 3 s, when there is too much to do, or DeadlineExceeded when less time is left than
// this handler lately needs. An error of answer itself never has NotSent, whatever it was made from: here it began.
func (a *Admission) Wrap(answer Answer) Answer {
	h := new(handler)
	return func(ctx context.Context, e *transport.Envelope) (*transport.Envelope, error) {
		began, room, err := a.enter(ctx, h, time.Now())
		if err != nil {
			return nil, err
		}
		outcome := unfinished
		defer func() { a.leave(h, began, time.Now(), room, outcome) }()
		reply, failed := answer(ctx, e)
		switch {
		case failed == nil:
			outcome = answered
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			outcome = tooSlow
		}
		return reply, begun(failed)
	}
}

// AdmissionStatus is what an Admission shows.
type AdmissionStatus struct {
	Limit    int    `json:"limit"`     // of requests that run at once, at present
	InFlight int    `json:"in_flight"` // requests that run
	Waiting  int    `json:"waiting"`   // in the queue
	Refused  uint64 `json:"refused"`   // so far
}

// Status is a pure read.
func (a *Admission) Status() AdmissionStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return AdmissionStatus{Limit: a.limit.allows(), InFlight: a.inFlight, Waiting: a.queue.Len(), Refused: a.refused}
}

// begun takes NotSent from an error that a handler passes on from a call of its own.
func begun(err error) error {
	if e, ok := errors.AsType[*transport.Error](err); ok && e.NotSent {
		changed := *e
		changed.NotSent = false
		return &changed
	}
	return err
}

// waiter is a request in the queue. Its fields are guarded by the admission.
type waiter struct {
	came    time.Time
	at      *list.Element // nil once it has left the queue
	granted bool
	left    chan struct{} // closed when somebody else takes it out of the queue
}

// enter takes a permit, which one leave gives back, and says since when it is held. room: at most half of the limit was
// in use.
func (a *Admission) enter(ctx context.Context, h *handler, now time.Time) (began time.Time, room bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.tooLate(ctx, h, now); err != nil {
		return now, false, err
	}
	if a.inFlight < a.limit.allows() {
		a.inFlight++
		return now, a.inFlight <= a.limit.allows()/2, nil
	}
	if err := a.wait(ctx, now); err != nil {
		a.refused++
		return now, false, err
	}
	now = time.Now()
	if err := a.tooLate(ctx, h, now); err != nil { // waiting has used it up
		a.release(now)
		return now, false, err
	}
	return now, false, nil
}

// wait queues for a permit. a.mu is held, and free while it waits.
//
// First come, first served, until that is slow in a queue that has not been empty for a while: then the last to come
// is served first, because it still has time, and the oldest makes room for it.
func (a *Admission) wait(ctx context.Context, now time.Time) error {
	a.limit.full = true
	if a.queue.Len() == 0 {
		a.standing = now
	}
	if a.queue.Len() >= queueShare*a.limit.allows() {
		if !a.overloaded(now) {
			return tooMuch()
		}
		a.takeOut(a.queue.Front(), false)
	}
	w := &waiter{came: now, left: make(chan struct{})}
	w.at = a.queue.PushBack(w)
	a.mu.Unlock()
	t := time.NewTimer(a.o.Wait)
	select {
	case <-w.left:
	case <-t.C:
	case <-ctx.Done():
	}
	t.Stop()
	a.mu.Lock()
	switch {
	case w.granted:
		return nil
	case w.at != nil:
		a.takeOut(w.at, false)
	}
	if ctx.Err() != nil {
		return givenUp(ctx)
	}
	return tooMuch()
}

// overloaded tells a queue of overload from one that moves: many callers of a quick handler keep a queue from being
// empty, and none of them waits long.
func (a *Admission) overloaded(now time.Time) bool {
	return now.Sub(a.standing) >= queueStanding && a.queue.Len() > 0 &&
		now.Sub(a.queue.Front().Value.(*waiter).came) >= a.o.Wait/2
}

func (a *Admission) takeOut(at *list.Element, granted bool) {
	w := a.queue.Remove(at).(*waiter)
	w.at, w.granted = nil, granted
	close(w.left)
}

func (a *Admission) leave(h *handler, began, now time.Time, room bool, how outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limit.peak = max(a.limit.peak, a.inFlight)
	a.limit.ended(h, now, now.Sub(began), room, how)
	a.release(now)
}

// release gives a permit back and hands on what is free.
func (a *Admission) release(now time.Time) {
	a.inFlight--
	for a.queue.Len() > 0 && a.inFlight < a.limit.allows() {
		next := a.queue.Front()
		if a.overloaded(now) {
			next = a.queue.Back()
		}
		a.inFlight++
		a.takeOut(next, true)
	}
}

// tooLate refuses a request that has less time left than h lately needs. Each refusal makes that estimate a little
// smaller, so that a handler that has become fast again is found out.
func (a *Admission) tooLate(ctx context.Context, h *handler, now time.Time) error {
	if ctx.Err() != nil {
		a.refused++
		return givenUp(ctx)
	}
	end, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	left, need := end.Sub(now), max(leastTime, h.median)
	if left >= need {
		return nil
	}
	a.refused++
	h.median -= h.median / 200
	return &transport.Error{
		Code: transport.DeadlineExceeded, NotSent: true,
		Message: fmt.Sprintf("%v are left and this handler lately needs %v: give the call more time", left.Round(time.Millisecond), need.Round(time.Millisecond)),
	}
}

func tooMuch() error {
	return &transport.Error{
		Code: transport.Unavailable, NotSent: true, RetryAfter: time.Second + rand.N(2*time.Second),
		Message: "this instance has more requests than it can answer in time: try later or another one",
	}
}

func givenUp(ctx context.Context) error {
	e := &transport.Error{Code: transport.Canceled, NotSent: true, Message: "the caller gave up before the handler began"}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Code, e.Message = transport.DeadlineExceeded, "the deadline passed before the handler began"
	}
	return e
}
