package servers

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Kind is a broker that this package knows.
type Kind string

// The kinds.
const (
	RabbitMQ Kind = "rabbitmq"
	Kafka    Kind = "kafka"
	NATS     Kind = "nats"
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{RabbitMQ, Kafka, NATS} }

// Variable of the environment names a server of the kind by its URL, which [Use] takes instead of starting one.
func (k Kind) Variable() string { return "PARLEY_TEST_" + strings.ToUpper(string(k)) }

// install answers where the kind's program is; what that is differs by kind.
func (k Kind) install(ctx context.Context, log io.Writer) (program string, err error) {
	switch k {
	case RabbitMQ:
		program, err = installRabbitMQ(ctx, log)
	case Kafka:
		program, err = installKafka(ctx, log)
	case NATS:
		program, err = installNATS(ctx, log)
	default:
		err = fmt.Errorf("want one of %v", Kinds())
	}
	if err != nil {
		return "", fmt.Errorf("installing %s: %w", k, err)
	}
	return program, nil
}
