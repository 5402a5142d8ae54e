package parley

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/parley-io/parley/transport"
)

// Kept is an event as a stream keeps it.
type Kept[T any] struct {
	Message
	Event    T
	Accepted time.Time          // by the broker's clock; zero where it tells none
	Position transport.Position // of this event, for [From] and [Until]
}

// Read reads an event with the [Stream] option without a group: nobody who subscribes notices, nothing is recorded, and
// nothing of the reader stays behind. It is for a range of the past ([FromStart], [FromTime] or [From], [UntilTime] or
// [Until]), to build something anew, and for a process that wants everything that comes while it runs, as a cache does.
// Without any of them it begins now and goes on; with an end only, it begins at the start.
//
//	for sold, err := range storefront.Sold.Read(ctx, client, parley.FromTime(monday), parley.UntilTime(tuesday)) {
//		if err != nil {
//			return err
//		}
//		report.Add(sold.Event)
//	}
//
// Events of one key come in their order; an event that was published twice because its sender could not know better comes
// twice, with one id. One that can't be read comes with an error and its [Message]; the loop may go on behind it.
// The last error ends the loop: the broker's, with which nothing else comes, or that of ctx. Memory holds
// a few hundred events at the most, and the loop takes all the time it needs.
//
// A Read may be begun again, and each is a reader of its own. Safe for concurrent use.
func (e *Event[T]) Read(ctx context.Context, c *Client, options ...ReadOption) iter.Seq2[Kept[T], error] {
	var r transport.Route
	for _, o := range options {
		o.read(&r)
	}
	if r.From.IsZero() && !r.Until.IsZero() {
		r.From.Start = true
	}
	return func(yield func(Kept[T], error) bool) {
		if err := e.readable(ctx, c); err != nil {
			yield(Kept[T]{}, err)
			return
		}
		r := r // a Route is one Receive's
		r.Channel, r.Credit = e.channel, transport.NewCredit(readAhead)
		going := true
		err := receiveEach(ctx, c.broker, r, func(d *transport.Delivery) bool {
			event, err := kept[T](e.contract, d)
			going = yield(event, err)
			return going
		})
		if going && err != nil {
			yield(Kept[T]{}, readError(e.address, err))
		}
	}
}

// readAhead is how many events are fetched before the loop has taken them.
const readAhead = 256

// readable makes sure that there is a stream to be read.
func (e *Event[T]) readable(ctx context.Context, c *Client) error {
	if err := e.ready(); err != nil {
		return err
	}
	if !e.stream {
		return &Error{Code: FailedPrecondition, Address: e.address, Message: "Read wants an event with the Stream option: a topic keeps nothing, its messages belong to those who subscribed"}
	}
	ctx, cancel := withDefault(ctx)
	defer cancel()
	if err := c.declare(ctx, e.channel); err != nil {
		return readError(e.address, err)
	}
	return nil
}

// readError is the border of Read: what ended it.
func readError(address string, err error) error {
	e := &Error{Code: Unavailable, Address: address, Message: "reading the stream has ended", Cause: err}
	switch {
	case errors.Is(err, transport.ErrRefused):
		e.Code, e.Message = InvalidArgument, "reading the stream was refused"
	case errors.Is(err, context.Canceled):
		e.Code = Canceled
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = DeadlineExceeded
	case CodeOf(err) != Unknown:
		e.Code = CodeOf(err)
	}
	return e
}

// receiveEach hands one delivery after the other to f, as long as it answers true, and settles all of them. The error is that of
// Receive, or of ctx where that ended it.
func receiveEach(ctx context.Context, b transport.Broker, r transport.Route, f func(*transport.Delivery) bool) error {
	within, enough := context.WithCancel(ctx)
	deliveries, ended := make(chan *transport.Delivery, readAhead), make(chan error, 1)
	go func() { // waited for below, also when f panics
		defer close(deliveries)
		ended <- b.Receive(within, r, func(d *transport.Delivery) { deliveries <- d })
	}()
	defer func() {
		enough()
		for d := range deliveries {
			d.Settle(transport.Done)
		}
	}()
	for d := range deliveries {
		more := func() bool {
			defer d.Settle(transport.Done)
			return f(d)
		}()
		if !more {
			return nil
		}
	}
	if err := <-ended; err != nil {
		return err
	}
	return ctx.Err()
}

// kept reads one event of a stream.
func kept[T any](c *contract, d *transport.Delivery) (k Kept[T], err error) {
	k.Message, k.Accepted, k.Position.At = messageOf(d.Envelope), d.Accepted, d.Position
	if why, bad := d.Envelope.Headers[transport.Malformed]; bad {
		err = fmt.Errorf("it is no event: %s", why)
	} else {
		err = decode(c.in, d.Envelope.Body, &k.Event)
	}
	if err != nil {
		err = &Error{Code: InvalidArgument, Address: c.address, ID: d.Envelope.ID, Message: "the event can't be read", Cause: err}
	}
	return k, err
}
