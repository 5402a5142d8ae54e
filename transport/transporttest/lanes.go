package transporttest

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/parley-io/parley/transport"
)

// lanes handle the deliveries of a partitioned channel as carefully as package delivery does: one key in order,
// different keys beside each other; whoever may have lost the partition begins nothing, and what is given back takes
// with it what came later of its key.
//
//	begin ID AT TAKEN FENCE   a handler starts; AT is when that was decided, TAKEN when the delivery came
//	end ID AT                 it has ended; only then is the delivery settled as done
//	lost ID AT                the partition was revoked before this delivery was settled
//
// Times are nanoseconds of the wall clock, which all processes of a machine share.
type lanes struct {
	worker *worker
	gate   *gate
	slots  chan struct{} // of capacity workers: who has put one in may run

	running sync.WaitGroup
	mu      sync.Mutex
	behind  map[string][]taken // by key; a key that has an entry has a goroutine
}

type taken struct {
	*transport.Delivery
	at time.Time
}

const (
	workers    = 4                     // handlers at a time
	handleTime = 10 * time.Millisecond // so that faults come in the middle of something
	laneCredit = 64
)

func (w *worker) order(ctx context.Context, g *gate) error {
	l := &lanes{worker: w, gate: g, slots: make(chan struct{}, workers), behind: make(map[string][]taken)}
	defer l.running.Wait()
	ready := func() { w.say("ready") }
	return w.broker.Receive(ctx, transport.Route{Channel: w.channel, Credit: transport.NewCredit(laneCredit), Ready: ready}, func(d *transport.Delivery) {
		l.take(ctx, taken{d, time.Now()})
	})
}

func (l *lanes) take(ctx context.Context, d taken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := d.Envelope.Key
	waiting, busy := l.behind[key]
	l.behind[key] = append(waiting, d)
	if !busy {
		l.running.Go(func() { l.run(ctx, key) })
	}
}

// run handles the deliveries of a key until none is left.
func (l *lanes) run(ctx context.Context, key string) {
	for {
		l.mu.Lock()
		waiting := l.behind[key]
		if len(waiting) == 0 {
			delete(l.behind, key)
			l.mu.Unlock()
			return
		}
		l.behind[key] = waiting[1:]
		l.mu.Unlock()
		if d := waiting[0]; l.handle(ctx, d) {
			d.Settle(transport.Done)
		} else {
			l.giveBack(key, d)
		}
	}
}

// giveBack returns d and what is behind it, in order, before anything newer of the key can be taken.
func (l *lanes) giveBack(key string, d taken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.Settle(transport.Return)
	for _, later := range l.behind[key] {
		later.Settle(transport.Return)
	}
	l.behind[key] = nil
}

// handle reports whether the message was handled.
func (l *lanes) handle(ctx context.Context, d taken) bool {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-d.Yield:
		return false
	case <-ctx.Done():
		return false
	}
	l.gate.pass()
	at := time.Now() // before it is known whether the handler may start: a process can be frozen in between
	switch {
	case closed(d.Revoked):
		l.say("lost", d, time.Now())
		return false
	case closed(d.Yield) || ctx.Err() != nil || !d.Valid():
		return false
	}
	l.say("begin", d, at, strconv.FormatInt(d.at.UnixNano(), 10), strconv.FormatUint(d.Fence, 10))
	select {
	case <-time.After(handleTime):
	case <-d.Revoked:
		l.gate.pass()
		l.say("lost", d, time.Now())
		return false
	}
	l.gate.pass()
	l.say("end", d, time.Now())
	return true
}

func (l *lanes) say(what string, d taken, at time.Time, more ...string) {
	l.worker.say(append([]string{what, d.Envelope.ID, strconv.FormatInt(at.UnixNano(), 10)}, more...)...)
}

// closed reports whether c is; nil never is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
