package interop_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-io/parley/internal/servers"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"), // sarama's, which nothing ends
	)
}

const (
	patience = time.Minute     // for what must happen: a test that waits so long has failed
	starting = 4 * time.Minute // of a server that may have to be installed before
)

func TestStrangersOnJetStream(t *testing.T) { t.Parallel(); converse(t, servers.NATS, joinJetStream) }
func TestStrangersOnRabbitMQ(t *testing.T)  { t.Parallel(); converse(t, servers.RabbitMQ, joinRabbitMQ) }
func TestStrangersOnKafka(t *testing.T)     { t.Parallel(); converse(t, servers.Kafka, joinKafka) }

// converse tells every story on a broker, each under a prefix of its own.
func converse(t *testing.T, kind servers.Kind, join func(url, prefix string) (stranger, error)) {
	t.Helper()
	server := serve(t, kind)
	for name, story := range map[string]func(*testing.T, *scene){
		"events that a service publishes are read by the SDK":                     publishedIsRead,
		"events that the SDK writes are handled by a service":                     strangersEventsAreHandled,
		"what can't be handled ends among the dead letters, and the rest goes on": theRestGoesOn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, server.URL)
			there, err := join(server.URL, s.prefix)
			if err != nil {
				t.Fatalf("the stranger can't join at %s: %v", kind, err)
			}
			t.Cleanup(there.close)
			s.stranger = there
			story(t, s)
		})
	}
}

// serve is the server that the environment names, or one that ends with the test.
func serve(t *testing.T, kind servers.Kind) *servers.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), starting)
	defer cancel()
	server, err := servers.Use(ctx, kind)
	if err != nil {
		t.Fatalf("no %s: %v", kind, err)
	}
	t.Cleanup(func() {
		server.KeepLogs = t.Failed()
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stopping %s: %v", kind, err)
		}
		if server.KeepLogs {
			t.Logf("what %s said is in %s", kind, server.Logs)
		}
	})
	return server
}
