package parley

import (
	"context"
	"fmt"
	"reflect"

	"github.com/parley-io/parley/transport"
)

// Command is the contract of a message that one service handles, later and surely: a durable queue, competing
// instances, a [MessageID] back at once. The sender does not know who handles it. Safe for concurrent use.
type Command[T any] struct {
	*contract
	key func(T) string
}

// NewCommand defines a command of an API. Its address is the API's name and the given one: "orders.v1.cancel-order". A
// command whose receiver never existed is kept until there is one.
func NewCommand[T any](a *API, name string, options ...CommandOption) *Command[T] {
	c := &contract{name: name, style: StyleCommand, inType: reflect.TypeFor[T]()}
	for _, o := range options {
		o.command(c)
	}
	return &Command[T]{contract: a.add("NewCommand", c)}
}

// KeyedBy keeps commands of one key in order; different keys are handled in parallel. It is a part of the definition:
// call it where the command is defined.
func (c *Command[T]) KeyedBy(key func(T) string) *Command[T] {
	c.define("KeyedBy", func() {
		if c.key, c.keyed = key, true; key == nil {
			c.api.problems = append(c.api.problems, fmt.Errorf("%s: KeyedBy(nil): want a function", c.address))
		}
	})
	return c
}

// Send returns when the broker keeps the command as durably as the network promises; it does not wait for its handling.
// The id is given also with an error that leaves open whether it was sent. ctx without a deadline gets 5 s.
func (c *Command[T]) Send(ctx context.Context, s Sender, command T, options ...SendOption) (MessageID, error) {
	return send(ctx, s, c.contract, c.key, command, options)
}

// Handle registers f as what handles the command in a service. Returning nil is done; an error is tried again, see
// [Retries]; [Permanent] and [RetryAfter] steer that. f must tolerate to see a command again: after a crash it does.
func (c *Command[T]) Handle(f func(context.Context, T) error, options ...HandleOption) Registration {
	r := &receiving{contract: c.contract, defined: caller()}
	for _, o := range options {
		o.handle(r)
	}
	if f == nil {
		r.wrongf(noHandler)
	}
	r.run = runner(c.contract, f)
	return r
}

// runner decodes and hands over; what can't be decoded never can be.
func runner[T any](c *contract, f func(context.Context, T) error) func(context.Context, *transport.Envelope) error {
	return func(ctx context.Context, e *transport.Envelope) error {
		var in T
		if err := decode(c.in, e.Body, &in); err != nil {
			return Permanent(err)
		}
		return f(ctx, in)
	}
}
