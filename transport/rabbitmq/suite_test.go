package rabbitmq_test

import (
	"os"
	"testing"
	"time"

	"github.com/parley-io/parley/transport/transporttest"
)

func TestRabbitMQKeepsThePromisesOfABroker(t *testing.T) {
	o := transporttest.Options{Full: os.Getenv("PARLEY_CONFORM") == "full"}
	if !o.Full {
		o.Patience = 3 * time.Minute // each of the server's starts takes seconds
	}
	server := target(start(t))
	transporttest.Record(t, server, transporttest.Run(t, server, o))
}
