package rabbitmq_test

import (
	"testing"
	"time"

	"github.com/parley-io/parley/transport/transporttest"
)

func TestRabbitMQKeepsThePromisesOfABroker(t *testing.T) {
	o := transporttest.FromEnvironment(t)
	if !o.Full {
		o.Patience = 3 * time.Minute // each of the server's starts takes seconds
	}
	server := target(t, start(t))
	transporttest.Record(t, server, transporttest.Run(t, server, o))
}
