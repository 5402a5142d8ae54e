package presence

import (
	"context"
	"time"

	"github.com/parley-io/parley/transport"
)

// disagreement bounds the wait for a clock that is behind.
const disagreement = 2 * time.Second

// Last is the ID of the last message that a stream of one partition holds at the time now; "" = it holds none. Whoever
// reads the stream from its start knows what was there once that message comes by. Where now is by another clock than the
// stream's, it may be an earlier message: those behind it follow a moment later.
func Last(ctx context.Context, b transport.Broker, stream transport.Channel, now time.Time) (id string, err error) {
	reading, cancel := context.WithTimeout(ctx, disagreement)
	defer cancel()
	route := transport.Route{
		Channel: stream,
		From:    transport.Position{Start: true},
		Until:   transport.Position{Time: now.Add(1)}, // with what was accepted at that very nanosecond
	}
	err = b.Receive(reading, route, func(d *transport.Delivery) {
		id = d.Envelope.ID
		d.Settle(transport.Done)
	})
	if err == nil {
		err = ctx.Err()
	}
	return id, err
}
