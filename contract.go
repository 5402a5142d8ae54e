package parley

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/parley-io/parley/transport"
)

// contract is what a Call, Operation, Command and Event have in common.
type contract struct {
	api     *API
	name    string
	address string
	style   Style

	inType, outType reflect.Type
	in, out         *schema // nil until compiled; out only of calls and operations

	idempotent   bool
	method, path string        // of a REST binding
	lifetime     time.Duration // of a message
	partitions   int
	keyed        bool
	channel      transport.Channel // of a message; complete once compiled
	audience     bool
	stream       bool
	keepFor      time.Duration
	keepBytes    int64
	timeout      time.Duration // of an operation
	phases       []string      // of an operation
	signals      []*signal     // of an operation
}

// Style is one of the ways for services to talk.
type Style string

const (
	StyleCall      Style = "call"      // one answers while the caller waits
	StyleOperation Style = "operation" // one carries it out, in steps that survive; the caller may wait
	StyleCommand   Style = "command"   // one handles it, later
	StyleEvent     Style = "event"     // every group that subscribed handles it, later
)

// DefaultPartitions is how many partitions the channel of a keyed contract has unless it says otherwise: enough for
// eight instances, few enough that each costs little on every broker.
const DefaultPartitions = 8

// compile checks c and derives its schemas and channel.
func (c *contract) compile() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(c.address+": "+format, args...))
	}
	var err error
	if c.in, err = schemaOf(c.inType); err != nil {
		bad("%w", err)
	}
	if c.style == StyleCall || c.style == StyleOperation {
		if c.out, err = schemaOf(c.outType); err != nil {
			bad("%w", err)
		}
	}
	if c.style == StyleCall {
		if c.method != "" {
			if err := checkRoute(c.method, c.path, c.in); err != nil {
				bad("%w", err)
			}
		}
		return errors.Join(errs...)
	}
	for _, s := range c.signals {
		if s.in, err = schemaOf(s.of); err != nil {
			bad("signal %s: %w", s.name, err)
		}
	}
	if c.lifetime < 0 || c.keepFor < 0 || c.keepBytes < 0 || c.timeout < 0 {
		bad("negative lifetime, retention or timeout")
	}
	c.channel = transport.Channel{Address: c.address, Pattern: transport.Queue}
	if c.style == StyleEvent {
		c.channel.Pattern = transport.Topic
	}
	if c.stream {
		c.channel.Pattern, c.channel.Retain, c.channel.RetainBytes = transport.Stream, c.keepFor, c.keepBytes
	}
	switch {
	case c.keyed && c.partitions == 0:
		c.channel.Partitions = DefaultPartitions
	case c.keyed:
		c.channel.Partitions = c.partitions
	case c.partitions != 0:
		bad("Partitions(%d) without KeyedBy: partitions order the messages of one key", c.partitions)
	}
	if err := c.channel.Validate(); err != nil {
		bad("%w", err)
	}
	return errors.Join(errs...)
}

// define changes the definition of c, which panics once its API is in use.
func (c *contract) define(what string, change func()) {
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	c.api.thaw(what + " of " + c.name)
	change()
}

// ready is asked by every verb before it does anything.
func (c *contract) ready() error {
	if c == nil {
		return &Error{Code: FailedPrecondition, NotSent: true, Message: "an Execution that was made by hand or read from somewhere knows its id only; make it with the Execution method of its operation"}
	}
	if err := c.api.freeze(); err != nil {
		return &Error{Code: Internal, Address: c.address, NotSent: true, Message: "the API is defined wrongly", Cause: err}
	}
	return nil
}

// Address is where the contract's messages or calls go: "orders.v1.get-quote".
func (c *contract) Address() string { return c.address }
