package parley

import (
	"context"
	"time"

	"github.com/parley-io/parley/operation"
	"github.com/parley-io/parley/transport"
)

// Sender takes messages: a [*Client], and later a database transaction. Send, Publish and Start go through one. It is an
// interface for Parley's own implementations and may grow.
type Sender interface {
	// Name is the service that sends.
	Name() string
	// Accept takes messages of a style for a channel and answers one receipt each, in order.
	Accept(ctx context.Context, style Style, channel transport.Channel, batch []*transport.Envelope) []transport.Receipt
	// Audience is the groups registered with an address; ok is false while that is not known.
	Audience(address string) (groups []string, ok bool)
}

// DefaultSendTimeout bounds a Send or Publish whose context has no deadline.
const DefaultSendTimeout = 5 * time.Second

// send is Send and Publish; in the code of an operation they are steps.
func send[T any](ctx context.Context, s Sender, c *contract, key func(T) string, payload T, options []SendOption) (MessageID, error) {
	if run, ok := operation.RunFrom(ctx); ok {
		return verb(ctx, run, c, func(ctx context.Context, id MessageCallOption) (MessageID, error) {
			return sendNow(ctx, s, c, key, payload, append([]SendOption{id}, options...))
		})
	}
	return sendNow(ctx, s, c, key, payload, options)
}

func sendNow[T any](ctx context.Context, s Sender, c *contract, key func(T) string, payload T, options []SendOption) (MessageID, error) {
	if err := c.ready(); err != nil {
		return "", err
	}
	body, err := encode(payload)
	if err != nil {
		return "", &Error{Code: InvalidArgument, Address: c.address, NotSent: true, Message: "the message can't be sent", Cause: err}
	}
	if fields := c.in.check(body); len(fields) > 0 {
		return "", &Error{Code: InvalidArgument, Address: c.address, NotSent: true, Message: "the message does not fit the contract", Fields: fields}
	}
	var k string
	if key != nil {
		k = key(payload)
	}
	return accept(ctx, s, c, k, body, options)
}

// accept gives a checked body to a sender.
func accept(ctx context.Context, s Sender, c *contract, key string, body []byte, options []SendOption) (MessageID, error) {
	if c.audience {
		if groups, ok := s.Audience(c.address); ok && len(groups) == 0 {
			return "", noAudience(c.address, "")
		}
	}
	e := newMessage(ctx, c.address, s.Name(), body)
	e.Key, e.Lifetime = key, c.lifetime
	for _, o := range options {
		o.send(e)
	}
	report(options, e)
	ctx, cancel := withDefault(ctx)
	defer cancel()
	receipt := s.Accept(ctx, c.style, c.channel, []*transport.Envelope{e})[0]
	if receipt.Err != nil {
		return MessageID(e.ID), sendError(c.address, e.ID, receipt.Err)
	}
	if c.audience && receipt.Groups == 0 {
		return MessageID(e.ID), noAudience(c.address, e.ID)
	}
	return MessageID(e.ID), nil
}

func noAudience(address, id string) error {
	e := *ErrNoAudience
	e.Address, e.ID, e.NotSent = address, id, id == ""
	e.Message = "nobody has subscribed; start a service that does, or leave RequireAudience out"
	return &e
}
