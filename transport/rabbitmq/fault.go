package rabbitmq

import (
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/parley-io/parley/transport"
)

// noReplicaYet is what the server says of a stream while it starts again and has not found it yet (3.10.8 was tried).
const noReplicaYet = "does not have a replica on the local node"

// refusal says what an error of declaring or consuming means. What the server has refused and would refuse again wraps
// [transport.ErrRefused] and has a [transport.Error] with what to do; anything else, such as a lost connection,
// [transport.ErrNotSent].
func refusal(err error) error {
	if errors.Is(err, transport.ErrRefused) {
		return err
	}
	e, ok := errors.AsType[*amqp.Error](err)
	if !ok || !e.Server {
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
	coded := &transport.Error{Cause: e}
	switch e.Code {
	case amqp.AccessRefused:
		coded.Code = transport.PermissionDenied
		coded.Message = "this user may not: have an administrator allow it, see rabbitmqctl set_permissions"
	case amqp.PreconditionFailed:
		if strings.Contains(e.Reason, noReplicaYet) {
			return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
		}
		coded.Code = transport.FailedPrecondition
		coded.Message = "it exists in another form: let both sides declare the same, use another address or prefix, or delete the old one"
	case amqp.NotFound:
		coded.Code = transport.NotFound
		return fmt.Errorf("%w: %w", transport.ErrNotSent, coded) // declare again
	case amqp.NotImplemented, amqp.NotAllowed, amqp.CommandInvalid, amqp.SyntaxError:
		coded.Code = transport.FailedPrecondition
		coded.Message = "the server cannot do that: RabbitMQ 3.10 or later with all its feature flags is wanted, see rabbitmqctl enable_feature_flag all"
	default: // resources, locks, a shutdown
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
	return fmt.Errorf("%w: %w", transport.ErrRefused, coded)
}

// isMissing reports whether the server said that there is no such thing.
func isMissing(err error) bool {
	e, ok := errors.AsType[*amqp.Error](err)
	return ok && e.Server && e.Code == amqp.NotFound
}

// about reports whether what the server said is about a name, which it puts in quotes.
func about(e *amqp.Error, name string) bool {
	return e != nil && strings.Contains(e.Reason, "'"+name+"'")
}
