package parley

import (
	"context"
	"fmt"
	"reflect"

	"github.com/parley-io/parley/transport"
)

// Event is the contract of an announcement that every subscribed group gets, at least once each. By default it is a
// topic, a queue for each group; with [Stream] it is kept, for those who come later. Safe for concurrent use.
type Event[T any] struct {
	*contract
	key func(T) string
}

// NewEvent defines an event of an API. Its address is the API's name and the given one: "orders.v1.order-placed".
func NewEvent[T any](a *API, name string, options ...EventOption) *Event[T] {
	c := &contract{name: name, style: StyleEvent, inType: reflect.TypeFor[T]()}
	for _, o := range options {
		o.event(c)
	}
	return &Event[T]{contract: a.add("NewEvent", c)}
}

// KeyedBy keeps events of one key in order at each group; different keys are handled in parallel. It is a part of the
// definition: call it where the event is defined.
func (e *Event[T]) KeyedBy(key func(T) string) *Event[T] {
	e.define("KeyedBy", func() {
		if e.key, e.keyed = key, true; key == nil {
			e.api.problems = append(e.api.problems, fmt.Errorf("%s: KeyedBy(nil): want a function", e.address))
		}
	})
	return e
}

// Publish returns when the broker keeps the event for every group that is registered, as durably as the network promises.
// Nobody being subscribed is success, unless the contract says [RequireAudience]. The id is given also with an error
// that leaves open whether it was sent. ctx without a deadline gets 5 s.
func (e *Event[T]) Publish(ctx context.Context, s Sender, event T, options ...SendOption) (MessageID, error) {
	return send(ctx, s, e.contract, e.key, event, options)
}

// Subscribe registers f as what handles the event for a group; the instances of a group share its events. A group
// exists from its first subscription until it is removed (`parley groups rm`), and what is published while nobody
// of it runs waits for it. Returning nil is done; errors as in [Command.Handle].
func (e *Event[T]) Subscribe(group string, f func(context.Context, T) error, options ...SubscribeOption) Registration {
	r := &receiving{contract: e.contract, group: group, defined: caller()}
	for _, o := range options {
		o.subscribe(r)
	}
	if only, ok := r.only.(func(T) bool); ok {
		r.wants = func(m *transport.Envelope) (bool, error) {
			var in T
			if err := decode(e.in, m.Body, &in); err != nil {
				return false, Permanent(err)
			}
			return only(in), nil
		}
	} else if r.only != nil {
		r.wrongf("Only wants a func(%v) bool, as the event's type is", reflect.TypeFor[T]())
	}
	if f == nil {
		r.wrongf(noHandler)
	}
	r.run = runner(e.contract, f)
	return r
}
