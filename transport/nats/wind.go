package nats

import (
	"context"
	"time"
)

// wound winds the receiver up: nothing new is handed out, what waits goes back. It reports whether all is done.
// Of a partition nothing needs to be told: its next owner begins behind what was acknowledged.
func (r *receiver) wound() bool {
	if r.sub != nil && r.drained == nil && !r.dry {
		r.drain()
	}
	if r.sub != nil && !r.dry {
		return false
	}
	r.sort()
	r.acknowledge()
	if r.own == nil && !r.reader {
		r.giveBack()
	}
	return r.unsettled == 0 || r.late
}

// giveBack returns what waits to the server.
func (r *receiver) giveBack() {
	if len(r.waiting) > 0 {
		r.forgetRequests()
	}
	for _, e := range r.waiting {
		delete(r.hand, e.sequence())
		r.say(e, returned)
	}
	r.waiting = nil
}

// forgetRequests makes the server drop requests that nobody waits for any longer, which it does before it tells about
// a consumer. Otherwise it would take the first message that comes back for such a request, and put it behind the others.
func (r *receiver) forgetRequests() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = r.b.js.Consumer(ctx, r.stream, r.consumer) // else the order of what comes back suffers, no more
}

// drain takes what is on the way, so that it can be given back and need not wait for AckWait.
func (r *receiver) drain() {
	drained := make(chan struct{})
	r.sub.SetClosedHandler(func(string) { close(drained) })
	// One that was closed already, when opening another in its place failed, takes the order to drain, and tells nobody.
	if !r.sub.IsValid() || !r.b.nc.IsConnected() || r.sub.Drain() != nil {
		_ = r.sub.Unsubscribe() // closed already is fine
		r.dry = true
		return
	}
	r.drained = drained
}

// release frees what the receiver has on the connection and waits until the server knows its last word.
func (r *receiver) release() {
	r.b.leave(r)
	if r.sub == nil {
		return
	}
	_ = r.sub.Unsubscribe() // after a drain it is closed
	select {
	case <-r.b.dead:
		return
	default:
	}
	if !r.reader {
		if r.heardOut() {
			r.sweep.end(r.own != nil)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = r.b.js.DeleteConsumer(ctx, r.stream, r.consumer) // else it ends by itself after readerIdle
}

// heardOut waits until the server has taken in all that it was told about messages: it takes that in beside everything
// else, but in order. Without a connection it does not wait; what was lost then comes again. It reports whether the
// server has answered, or need not.
func (r *receiver) heardOut() bool {
	if r.spoken == "" {
		return true
	}
	if !r.b.nc.IsConnected() {
		return false
	}
	limit := time.Second
	if r.own != nil { // a disk that is busy makes acknowledgements slow
		limit = answerLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := r.b.nc.RequestWithContext(ctx, r.spoken, []byte("+WPI"))
	return err == nil
}
